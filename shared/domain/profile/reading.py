"""An answer as an outcome: the rules of a profile, compiled. Pure, and it never raises, whatever a provider answers."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from shared.domain.message import Error
from shared.domain.profile.answer import Answer, words
from shared.domain.profile.patterns import searcher
from shared.domain.profile.provider import Reading
from shared.domain.profile.rules import EACH, MISSING, TYPES, Rule, Spot, finder
from shared.domain.receipt import reference_of
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

_SHORT = 256
"""Bytes. A provider accepts a million messages in the same few words, which need to be read once only."""


class Reader:
    """Reads the answers of one provider."""

    def __init__(self, reading: Reading) -> None:
        self._rules = [(rule, _test(rule)) for rule in reading.rules]
        self._by_status: dict[int, Sequence[tuple[Rule, _Test]]] = {}
        self._reference = reading.reference and _text_at(reading.reference)
        self._reason = reading.reason and _text_at(reading.reason)
        self._in_short = lru_cache(maxsize=256)(self._read)

    def outcome(self, answer: Answer) -> Outcome:
        """What a call led to."""
        if self._reference or len(answer.body) > _SHORT:
            return self._read(answer)
        return self._in_short(answer)

    def _read(self, answer: Answer) -> Outcome:
        said = Said(answer.body)
        sounds_good = 200 <= answer.status < 300
        try:
            for rule, holds in self._rules_for(answer.status):
                if holds(said):
                    return self._outcome(rule.outcome, rule.error, answer, said)
        except Contradiction:
            if sounds_good:
                return Outcome(OutcomeKind.AMBIGUOUS, Error.CONTRADICTION, words=words(answer.body))
        kind, error = _BY_STATUS.get(answer.status) or _by_class(answer.status)
        return self._outcome(kind, error, answer, said)

    def _rules_for(self, status: int) -> "Sequence[tuple[Rule, _Test]]":
        rules = self._by_status.get(status)
        if rules is None:
            rules = self._by_status[status] = [each for each in self._rules if status in each[0].statuses]
        return rules

    def _outcome(self, kind: OutcomeKind, error: Error | None, answer: Answer, said: "Said") -> Outcome:
        if kind is OutcomeKind.ACCEPTED:
            if not self._reference:
                return ACCEPTED
            return Outcome(kind, reference=reference_of(self._reference(said)))
        # Of the others only these ask for time; a redirect's Retry-After is about the other address.
        wait = answer.retry_after if kind in (OutcomeKind.TRANSIENT, OutcomeKind.LIMITED) else 0.0
        reason = self._reason and self._reason(said)
        return Outcome(kind, error, wait, words(reason.encode("utf-8", "replace") if reason else answer.body))


class Contradiction(Exception):
    """Of members with one name some readers take the first and some the last (RFC 8259, section 4)."""


class Said:
    """An answer's body, read in each way at most once."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._document: Any = _UNREAD

    @property
    def document(self) -> Any:
        """Its JSON; MISSING: it is none. Raises Contradiction."""
        if self._document is _UNREAD:
            try:
                self._document = json.loads(self.body, object_pairs_hook=_members)
            except (ValueError, RecursionError):
                self._document = MISSING
        return self._document


_UNREAD = object()
_Test = Callable[[Said], bool]


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Contradiction
    return members


def _test(rule: Rule) -> _Test:
    """Whether a rule holds, its status apart."""
    if rule.path is None:
        if rule.pattern is None:
            return lambda _: True
        search = searcher(rule.pattern)
        return lambda said: search(said.body) is not None
    find, is_meant = finder(rule.path), _value_test(rule)
    if EACH in rule.path:

        def all_are_meant(said: Said) -> bool:
            values = find(said.document)
            return values is not MISSING and all(map(is_meant, values))

        return all_are_meant
    return lambda said: is_meant(find(said.document))


def _value_test(rule: Rule) -> Callable[[Any], bool]:
    if rule.values is not None:
        wanted = frozenset((type(value), value) for value in rule.values)
        return lambda value: value.__hash__ is not None and (type(value), value) in wanted
    if rule.pattern is not None:
        search = searcher(rule.pattern)
        return lambda value: isinstance(value, str) and search(value.encode("utf-8", "replace")) is not None
    if rule.type is not None:
        types = TYPES[rule.type]
        return lambda value: type(value) in types
    return lambda value: value is not MISSING


def _text_at(spot: Spot) -> Callable[[Said], str | None]:
    """What stands there as text, None where nothing does."""
    if spot.path is None:
        search = searcher(spot.pattern or "")

        def group(said: Said) -> str | None:
            found = search(said.body)
            return found.decode("utf-8", "replace") if found else None

        return group
    find = finder(spot.path)

    def text(said: Said) -> str | None:
        try:
            value = find(said.document)
        except Contradiction:
            return None
        return str(value) if type(value) in (str, int) else None

    return text


_OURS_TO_MEND = OutcomeKind.UNAUTHORIZED

_BY_STATUS = {
    401: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    402: (_OURS_TO_MEND, Error.UNPAID),
    403: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    404: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    405: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    407: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    408: (OutcomeKind.TRANSIENT, Error.SERVER_ERROR),
    410: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    425: (OutcomeKind.TRANSIENT, Error.SERVER_ERROR),
    429: (OutcomeKind.LIMITED, Error.RATE_LIMITED),
}


def _by_class(status: int) -> tuple[OutcomeKind, Error]:
    if status >= 500:
        return OutcomeKind.TRANSIENT, Error.SERVER_ERROR
    if status >= 400:
        return OutcomeKind.REFUSED, Error.REJECTED
    if status >= 300:
        return _OURS_TO_MEND, Error.REDIRECTED
    return OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER  # it sounds good and says nothing, or it is no final status at all
