"""Which characters keep a text out of the GSM 7-bit alphabet, and what to write in their place. Pure.

One of them is enough to make every part of the text hold 70 characters and no longer 160. Most come from a word
processor, a keyboard or a web page, and nobody sees the difference.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.text.parts import GSM7

_SPELLED: Mapping[str, str] = {
    **dict.fromkeys("“”„‟«»″‶〝〞❝❞", '"'),
    **dict.fromkeys("‘’‚‛‹›′‵`´ʹʻʼʽˈˊˋ❛❜", "'"),
    **dict.fromkeys("‐‑‒–—―−⁃﹘", "-"),
    **dict.fromkeys("•◦∙⋅·‣▪●★☆✓✔✱✳", "*"),
    **dict.fromkeys("→⇒➔➜▶", ">"),
    **dict.fromkeys("←⇐◀", "<"),
    **dict.fromkeys("⁄∕÷", "/"),
    **dict.fromkeys("\t\v\x85\u1680\u180e\u2028\u2029", " "),
    **{"×": "x", "∗": "*", "∣": "|", "∼": "~", "≈": "~", "≤": "<=", "≥": ">=", "≠": "<>", "±": "+-"},
    **{"№": "No.", "©": "(c)", "®": "(R)", "°": " deg", "¢": "c", "₽": "RUB", "₴": "UAH", "₺": "TL", "₸": "KZT"},
    **{"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ħ": "h", "Ħ": "H"},
    **{"ı": "i", "œ": "oe", "Œ": "OE", "ŋ": "n", "Ŋ": "N", "ə": "e", "Ə": "E", "ẞ": "SS", "µ": "u", "¬": "-"},
}  # fmt: skip
"""What is not told by Unicode itself, which knows what most letters with accents, ligatures and blanks are made of."""

_CYRILLIC = dict(zip("АВЕЅІЈКМНОРСТУХЗаеѕіјорсухԁԛԝһӀ", "ABESIJKMHOPCTYX3aesijopcyxdqwhI", strict=True))
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονικρυ", "ABEZHIKMNOPTYXovikpu", strict=True))
_ALIKE: Mapping[str, str] = _CYRILLIC | _GREEK
"""Letters of other alphabets that look like Latin ones: of a text that is Latin but for these they are slips."""

MOST_PLACES = 20
"""Of a character, that are named."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """A character that is not in the alphabet.

    character: with the mark that stands on it, where the two are one letter. name: as Unicode calls it. places: where
    it stands, counted in characters from 1, the first MOST_PLACES of them. count: how often it stands there. write:
    what to write instead; empty: nothing; None: there is nothing that looks like it.
    """

    character: str
    name: str
    places: Sequence[int]
    count: int
    write: str | None


def culprits(text: str) -> Sequence[Culprit]:
    """In the order in which they appear; none of a text that is in the alphabet."""
    if GSM7.issuperset(text):
        return ()
    is_latin = not any(_is_of_another_alphabet(sign) for sign in set(text))
    places: dict[str, list[int]] = {}
    for place, sign in enumerate(_letters(text), 1):
        if sign and not GSM7.issuperset(sign):
            places.setdefault(sign, []).append(place)
    return [
        Culprit(sign, _name(sign), found[:MOST_PLACES], len(found), _instead(sign, is_latin=is_latin))
        for sign, found in places.items()
    ]


def is_avoidable(found: Sequence[Culprit]) -> bool:
    """Whether the text would be in the alphabet without these, and is not simply written in another one."""
    return not any(one.write is None and unicodedata.category(one.character[0])[0] == "L" for one in found)


def spelled(text: str, found: Sequence[Culprit]) -> str:
    """The text with what is to be written in the place of these; without those that nothing looks like."""
    instead = {one.character: one.write or "" for one in found}
    return "".join(instead.get(sign, sign) for sign in _letters(text))


def pieces(text: str, found: Sequence[Culprit]) -> Sequence[tuple[str, Culprit | None]]:
    """The text, cut where these stand: each of them, and what is between two of them."""
    guilty = {one.character: one for one in found}
    cut: list[tuple[str, Culprit | None]] = []
    for sign in filter(None, _letters(text)):
        culprit = guilty.get(sign)
        if culprit is None and cut and cut[-1][1] is None:
            cut[-1] = (cut[-1][0] + sign, None)
        else:
            cut.append((sign, culprit))
    return cut


def _letters(text: str) -> Sequence[str]:
    """The characters of a text, an empty one in the place of a mark that belongs to the letter before it."""
    found: list[str] = []
    for sign in text:
        if found and found[-1] and unicodedata.combining(sign):
            whole = found[-1] + sign
            if len(unicodedata.normalize("NFC", whole)) == 1:
                found[-1] = whole
                found.append("")
                continue
        found.append(sign)
    return found


def _instead(sign: str, *, is_latin: bool) -> str | None:
    whole = unicodedata.normalize("NFC", sign)
    if whole in GSM7:
        return whole
    if is_latin and whole in _ALIKE:
        return _ALIKE[whole]
    if unicodedata.category(whole[0]) in _UNSEEN:
        return _SPELLED.get(whole, "")
    plain = "".join(_SPELLED.get(one, one) for one in _decomposed(whole))
    return plain if plain and GSM7.issuperset(plain) else None


_UNSEEN = ("Cc", "Cf", "Mn", "Me")
"""Controls, marks of format, and marks that stand on nothing that they are one letter with."""


def _decomposed(sign: str) -> str:
    """What a character is made of, without accents."""
    if sign in _SPELLED:
        return sign
    made_of = unicodedata.normalize("NFKD", sign)
    return "".join(one for one in made_of if not unicodedata.combining(one))


def _is_of_another_alphabet(sign: str) -> bool:
    """Whether it is a letter that no Latin one looks like, so that the text is written in its alphabet."""
    return unicodedata.category(sign)[0] == "L" and _instead(sign, is_latin=True) is None


def _name(sign: str) -> str:
    return " with ".join(unicodedata.name(one, f"U+{ord(one):04X}") for one in sign)
