"""Phones as people and spreadsheets write them, brought into the one form that the directory has.

What says nothing is left out: blanks, hyphens and dashes of every kind, dots, slashes, brackets, quotation marks, a
plus, `tel:` and words like it, marks that nobody sees, the fraction of a number. A leading 8 is the 7 of a call from
within Russia, 00 and 810 begin a call to another country, and ten digits are those behind them. What has lost something
on its way, or could be two things, is refused and says why: a message to a stranger is worse than none.
"""

import re
import unicodedata

EXACT = re.compile("7[0-9]{10}")
"""A phone as it is kept, and as nearly all of them come."""

_USUAL = re.compile(r"(?:[+]?7|8)?[ -]?[(]?(9[0-9]{2})[)]?[ -]?([0-9]{3})[ -]?([0-9]{2})[ -]?([0-9]{2})(?:[.,]0+)?")
"""As most people write it: a short way to what the long one finds, too."""

SHAPE = "Must be 11 digits, the first of them 7."
LOST_DIGITS = (
    "Has lost digits: a spreadsheet has rounded the number. Format the column as text, or as a number without decimals,"
    " and save the table again; what was saved so has to be entered anew."
)
TOO_NARROW = "Has lost its digits: the column was too narrow for them. Make it wider, and save the table again."
MISSING_DIGIT = "Has ten digits and begins like a phone of eleven: one is missing."
EXTENSION = "Has an extension, and no message can be sent to one."
SEVERAL = "Holds more than one phone."
DATE = "Is a date, not a phone."
LETTERS = "Has letters that look like digits, such as O for 0."
HIDDEN = "Does not show all of its digits: they were hidden when the table was saved."
BESIDE = "Has something beside the phone."
FORMULA = "Is a formula, not a phone. Save the table with values in place of formulas."

LONGEST = 100
"""Characters. No spelling needs as many, so that none takes long."""

_INVISIBLE = (0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
_BLANKS = (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
_DASHES = (*range(0x2010, 0x2016), 0x2043, 0x207B, 0x2212, 0x2E3A, 0x2E3B, 0xFE58, 0xFE63, 0xFF0D, 0x30FC, 0xAF)


class _Plainly(dict[int, str | None]):
    """A table for `str.translate`. Digits of other scripts are those of ours. It does not grow: a file may hold every
    sign that there is."""

    def __missing__(self, sign: int) -> str:
        return str(unicodedata.decimal(chr(sign), chr(sign)))


_PLAINLY = _Plainly(
    {
        **dict.fromkeys(_INVISIBLE),
        **dict.fromkeys(_BLANKS, " "),
        **dict.fromkeys(_DASHES, "-"),
        **{0xFF01 + place: chr(0x21 + place) for place in range(94) if 0xFF01 + place != 0xFF0D},  # full width
        **dict.fromkeys(map(ord, "\u2018\u2019\u201b\u2032\u02bc\u0060\u00b4"), "'"),
        **dict.fromkeys(map(ord, "\u00ab\u00bb\u201c\u201d\u201e\u201f\u2033"), '"'),
        **dict.fromkeys(map(ord, "\u00b7\u2022\u2219\u2024\u30fb"), "."),
    }
)
_QUOTES = "'`\"\x1a"
"""With the sign that old programs end a file with."""
_ENDS = " ,;:/|"
"""What a list of one ends with."""

_CONSTANT = re.compile(r"""=\s*(?:"([^"]*)"|'([^']*)'|([+]?[0-9][0-9\s.()-]*))""")
_KIND = (
    r"(?:tel|callto|sms|phone|mobile|mob|cell|work|home|whatsapp|viber|telegram|телефон|тел|мобильный|моб|сотовый|сот"
    r"|рабочий|раб|домашний|дом|смс|т|м)(?![^\W\d_])"
)
_SCHEME = re.compile(rf"(?:{_KIND}[.:/,\s]*)*+(?:[№#]\s*(?=[+(0-9]))?", re.IGNORECASE)
_NOTE = re.compile(rf"(?<=[0-9])[\s,(\[-]+{_KIND}[.\s)\]]*\Z", re.IGNORECASE)
_ROUNDED = re.compile(r"[+]?([0-9]+)(?:[.,]([0-9]*))?\s*[eеЕ]\s*[+]?\s*([0-9]{1,5})", re.IGNORECASE)
_FRACTION = re.compile(r"([+]?[0-9][0-9 ]*[0-9])[.,]0+")
_GROUPS = re.compile(r"[+]?[0-9]{1,3}(?:[,'][0-9]{3}){3}(?:[.]0+)?")
_EXTENSION = re.compile(
    r"[0-9)].*?(?:доб|доп|внутр|вн|тон|ext|extension|[xх#]|;\s*ext\s*=)[a-zа-яё]*[.:\s=№#]*[0-9]",
    re.IGNORECASE | re.DOTALL,
)
_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек)[^\W\d_]*"
)
_DATE = re.compile(
    r"(?:(?:0?[1-9]|[12][0-9]|3[01])[./-][0-9]{1,2}[./-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}"
    rf"|[0-9]{{1,2}}[.\s-]*{_MONTH}[.,\s-]*(?:[0-9]{{4}}|[0-9]{{2}})|{_MONTH}[.\s]*[0-9]{{1,2}},?\s*[0-9]{{4}})(?:\s*г\.?)?"
    r"(?:[ T]+[0-9]{1,2}(?:[:.][0-9]{2}(?:[:.][0-9]{2}(?:[.,][0-9]+)?)?)?\s*(?:Z|[+-][0-9:]+|[AaPp][Mm])?)?",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[,;/|\n\r\\]|\s(?:и|или|and|or)\s", re.IGNORECASE)
_NO_DIGIT = re.compile("[^0-9]")
_SECOND_LINE = re.compile(r"(?:[0-9][^0-9/~_]*){10,}[/~_]\s*[0-9]{1,3}\Z")
"""`(834) 223-45-67/8` is how two lines are written, whose numbers differ in their ends."""
_BETWEEN = re.compile(r"[\s.()\[\]{}/_~-]+")
_ABROAD = re.compile(r"(?:00|810)(?=7[0-9]{10})")
_WRITTEN = re.compile(r"(\+?)([0-9]{10,11})")
_UNSEEN_DIGITS = re.compile(r"[*xх_]{2}", re.IGNORECASE)
_LIKE_DIGITS = str.maketrans("OoОоlIІі|ЗзSsВBб", "0000111113355886")
_OTHER = re.compile(r"[^+0-9]")


class NotAPhone(ValueError):
    """Says why."""


def normalised(cell: str) -> str:
    """11 digits, the first of them 7. Raises NotAPhone."""
    if EXACT.fullmatch(cell):
        return cell
    if found := _USUAL.fullmatch(cell):
        return "7" + "".join(found.groups())
    return _at_length(cell)


def is_phone(cell: str) -> bool:
    """Whether it can be brought into that form."""
    try:
        return bool(normalised(cell))
    except NotAPhone:
        return False


def _at_length(cell: str) -> str:
    """Raises NotAPhone."""
    if len(cell) > LONGEST or (cell.isdigit() and len(cell) < 10):
        raise NotAPhone(SHAPE)
    text = cell if cell.isascii() else cell.translate(_PLAINLY)
    text = text.strip()
    text = _value(text) if text.startswith("=") else text.strip(_QUOTES).strip().strip(_ENDS)
    text = _NOTE.sub("", text[_SCHEME.match(text).end() :])  # type: ignore[union-attr]  # it matches nothing, too
    text = _exact(text)
    _refuse_what_is_something_else(text)
    return _digits(text)


def _value(formula: str) -> str:
    """Of one that is nothing but a constant: how a spreadsheet is told that digits are a text. Raises NotAPhone."""
    found = _CONSTANT.fullmatch(formula)
    if found is None:
        raise NotAPhone(FORMULA)
    return str(found[found.lastindex or 0]).strip()


def _refuse_what_is_something_else(text: str) -> None:
    if text and not text.strip("#"):
        raise NotAPhone(TOO_NARROW)
    if text.startswith("#"):  # #REF!, #N/A
        raise NotAPhone(FORMULA)
    if _DATE.fullmatch(text):
        raise NotAPhone(DATE)
    digits = [len(_NO_DIGIT.sub("", part)) for part in _SEPARATORS.split(text)]
    if sum(count >= 10 for count in digits) > 1 or max(digits) >= 20:
        raise NotAPhone(SEVERAL)
    if sum(digits) < 10 and _UNSEEN_DIGITS.search(text):
        raise NotAPhone(HIDDEN)
    if _EXTENSION.search(text):
        raise NotAPhone(EXTENSION)


def _exact(text: str) -> str:
    """Without what a spreadsheet does to a number. Raises NotAPhone."""
    if found := _ROUNDED.fullmatch(text):
        digits = found[1] + (found[2] or "")
        end = len(found[1]) + int(found[3])
        if len(digits) < end or digits[end:].strip("0"):
            raise NotAPhone(LOST_DIGITS)
        return digits[:end]
    if (found := _FRACTION.fullmatch(text)) and len(_NO_DIGIT.sub("", found[1])) in (10, 11):
        return found[1]
    if _GROUPS.fullmatch(text):
        return text.partition(".")[0].replace(",", "").replace("'", "")
    return text


def _digits(text: str) -> str:
    bare = _BETWEEN.sub("", text)
    if _SECOND_LINE.search(text):
        raise NotAPhone(SEVERAL)
    found = _WRITTEN.fullmatch(_ABROAD.sub("", bare, count=1) if bare[:3] in ("007", "810") else bare)
    if found is None:
        raise NotAPhone(_fault(text, bare))
    plus, digits = found.groups()
    if len(digits) == 11 and (digits[0] == "7" or (digits[0] == "8" and (not plus or digits[1] == "9"))):
        return f"7{digits[1:]}"  # no country's code begins with 89
    if len(digits) == 10 and not plus:
        if digits[0] in "349":
            return f"7{digits}"
        if digits[0] in "78":
            raise NotAPhone(MISSING_DIGIT)
    raise NotAPhone(SHAPE)


def _fault(text: str, bare: str) -> str:
    """What helps whoever wrote it."""
    if _WRITTEN.fullmatch(bare.translate(_LIKE_DIGITS)):
        return LETTERS
    return BESIDE if len(_NO_DIGIT.sub("", text)) >= 10 and _OTHER.search(bare) else SHAPE
