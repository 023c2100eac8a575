"""What the rules say, in the language of the page.

Rules speak English, to programs and people alike. The catalogue has their sentences under a context of its own, with
gaps for what is filled in, so that what was said is told in Russian, and nothing is decided here. What a gap holds
follows from the first word of its name (`_KINDS`). What nobody has translated is shown in English, and marked as that.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from markupsafe import Markup

from api_service.console import formats, names
from api_service.console.language import ENGLISH, RULE, Ids, chosen, gettext, language
from api_service.console.language import marked as _
from shared.domain.mailing import MailingState
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason

_MOST_SENTENCES, _LONGEST = 6, 2000
"""Sentences that are told from each other in one text, and its characters; beyond, it is shown as it is."""

_GAP = re.compile(r"%\((\w+)\)s")
_WORD = re.compile("[A-Za-z]{2}")
_ABOUT = re.compile(": ")
_END = re.compile(r"(?<=[.…]) ")
_MORE = re.compile(r"(.+?),? and ([0-9]+ more)", re.DOTALL)
"""A number of values that are not shown."""
_LISTED = re.compile(r"(?<=\)), |, (?=[0-9][0-9,]* clients? )|, (?=segment [0-9]|mailing [0-9])|; ")


def said(sentences: str | Sequence[str]) -> Markup:
    """As it is shown on a page."""
    some = [sentences] if isinstance(sentences, str) else sentences
    return Markup(" ").join(_shown(one) for one in some)


def flat(errors: Any) -> list[str]:
    """Sentences that stand in mappings and lists, each behind the names under which it stands."""
    if isinstance(errors, Mapping):
        return [
            f"{name}: {sentence}" if isinstance(name, str) and name else sentence
            for name, one in errors.items()
            for sentence in flat(one)
        ]
    return list(errors) if isinstance(errors, list) else [str(errors)]


def _shown(sentence: str) -> Markup:
    if not sentence or chosen().code == ENGLISH:
        return Markup.escape(sentence)
    if (found := gettext(sentence)) != sentence:  # one of the console itself
        return Markup.escape(found)
    return _told(sentence) or _in_english(sentence)


def _in_english(words: str) -> Markup:
    return Markup('<span lang="en">{}</span>').format(words)


def _told(words: str) -> Markup | None:
    """Of one sentence or several, as rules string them together. None: not all of it is known."""
    if len(words) > _LONGEST:
        return None
    places = [0, *(end.end() for end in list(_END.finditer(words))[:_MOST_SENTENCES]), len(words) + 1]
    told: dict[int, Markup] = {places.pop(): Markup()}  # from each place to the end
    for start in reversed(places):
        for end in sorted(told):
            if (part := _part(words[start : end - 1])) is not None:
                told[start] = Markup("{} {}").format(part, told[end]) if told[end] else part
                break
    return told.get(0)


def _part(words: str) -> Markup | None:
    """Of one, also where it stands behind what it is about."""
    if (told := _one(words)) is not None:
        return told
    for about in islice(_ABOUT.finditer(words), _MOST_SENTENCES):
        if (told := _one(words[about.end() :])) is not None:
            return Markup("{}: {}").format(names.column(words[: about.start()]), told)
    return None


def _one(words: str) -> Markup | None:
    for rule in _rules(chosen().code):
        if (
            rule.fixed in words
            and (found := rule.pattern.fullmatch(words))
            and (told := rule.filled(found)) is not None
        ):
            return told
    return None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A sentence of the catalogue. pattern: of what is said in English. fixed: the longest part without a gap, which is
    looked for much faster."""

    ids: Ids
    pattern: re.Pattern[str]
    fixed: str

    def filled(self, found: re.Match[str]) -> Markup | None:
        """None: something in it is not known."""
        values: dict[str, Markup | str] = {}
        for name, value in found.groupdict().items():
            if (told := _KINDS[_kind(name)].tell(value)) is None:
                return None
            values[name] = told
        words, (one, *many) = chosen().words, self.ids
        sentence = words.npgettext(RULE, one, many[0], _whole(found["number"])) if many else words.pgettext(RULE, one)
        return Markup.escape(sentence) % values if values else Markup.escape(sentence)


@lru_cache
def _rules(code: str) -> Sequence[_Rule]:
    """Those that say most first: what is told by one of few words may be told by one of more."""
    rules = [_rule(ids, one) for ids in language(code).rules for one in ids]
    return sorted(rules, key=lambda rule: len(_GAP.sub("", rule.ids[0])), reverse=True)


def _rule(ids: Ids, one: str) -> _Rule:
    """one: of the ids, that of which it tells."""
    parts = _GAP.split(one)
    fixed = max(parts[::2], key=len)
    for place, name in enumerate(parts):
        is_gap = place % 2
        parts[place] = f"(?P<{name}>{_KINDS[_kind(name)].shape})" if is_gap else re.escape(name)
    return _Rule(ids, re.compile("".join(parts), re.DOTALL), fixed)


def _kind(name: str) -> str:
    return name.partition("_")[0]


# ---------------------------------------------------------------- what stands in gaps


@dataclass(frozen=True, slots=True)
class _Kind:
    """shape: in English, as an expression. tell: in the language of the page; None: that is not known."""

    shape: str
    tell: Callable[[str], Markup | str | None]


def _whole(number: str) -> int:
    return int(number.removeprefix("About ").replace(",", ""))


def _number(given: str) -> str:
    return ("≈ " if given.startswith("About ") else "") + formats.number(_whole(given))


def _moment(given: str) -> Markup | str | None:
    try:
        return formats.moment(datetime.fromisoformat(given))
    except (ValueError, OverflowError):
        return _one(given)


def _day(given: str) -> str | None:
    try:
        return formats.day(date.fromisoformat(given))
    except ValueError:
        return None


def _words(given: str) -> Markup:
    """Of others, of which not all are known."""
    return _one(given) or (_in_english(given) if _WORD.search(given) else Markup.escape(given))


def _list(given: str) -> Markup | None:
    told = [_one(one) for one in _LISTED.split(given)]
    return Markup(", ").join(one for one in told if one is not None) if None not in told else None


def _some(given: str) -> Markup | str | None:
    """Values, of which more may be counted."""
    if (found := _MORE.fullmatch(given)) is None:
        return given
    more = _one(found[2])
    return None if more is None else Markup("{} {}").format(found[1], more)


def _characters(given: str) -> str:
    """By their names in Unicode, which say something to few."""
    try:
        return "".join(map(unicodedata.lookup, given.split(" with ")))
    except KeyError:
        return given


def _meaning(given: str) -> Markup | str | None:
    return gettext(_MEANINGS[given]) if given in _MEANINGS else _one(given)


def _of_list(named: Mapping[str, str]) -> _Kind:
    """One of a closed list of names, in a sentence."""
    shape = "|".join(map(re.escape, named))
    return _Kind(shape, lambda given: gettext(named[given]).lower())


_MEANINGS: Mapping[str, str] = {one.meaning: names.ERRORS[one] for one in (*Error, *Reason) if one in names.ERRORS} | {
    one.meaning: names.STATUSES[one][1] for one in MessageState if one in names.STATUSES
}
_MEMBERS = {
    "tags": _("Tags"),
    "operator_codes": _("Operator codes"),
    "timezones": _("Time zones"),
    "attributes": _("Attributes"),
    "segments": _("Segments"),
    "imports": _("Files"),
    "mailings": _("Mailings"),
}
"""Of a filter, as its form calls them."""
_ACTIONS = {"pause": _("Pause"), "resume": _("Go on"), "start": _("Start it"), "cancel": _("Cancel it")}

_KINDS: Mapping[str, _Kind] = {
    "number": _Kind("(?:About )?-?[0-9][0-9,]*", _number),
    "id": _Kind("[0-9]+", str),
    "when": _Kind(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+-]+|a moment that is still open", _moment),
    "day": _Kind("[0-9]{4}-[0-9]{2}-[0-9]{2}", _day),
    "time": _Kind("[0-9]{2}:[0-9]{2}", str),
    "zone": _Kind(r"[\w/+-]+", str),
    "code": _Kind("[a-z_]+", str),
    "state": _of_list({str(one): names.STATES[one] for one in MailingState}),
    "status": _of_list({str(one): names.STATUSES[one][0] for one in MessageState if one in names.STATUSES}),
    "action": _of_list(_ACTIONS),
    "member": _of_list(_MEMBERS),
    "meaning": _Kind(".+?", _meaning),
    "character": _Kind("[A-Z0-9 +-]+(?: with [A-Z0-9 +-]+)*", _characters),
    "said": _Kind(".+", _one),
    "list": _Kind(".+?", _list),
    "some": _Kind(".+?", _some),
    "words": _Kind(".+?", _words),
    "value": _Kind(".*?", str),
}
