"""What a dispatcher knows of where mailings stand with the provider (`shared.standing`), and what it has to write.

A mailing that is proven and not held back costs one look a second.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dispatcher_service.sending.attempt import Result
from shared import metrics, standing
from shared.clock import ticks
from shared.domain.retry import OutcomeKind
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.standing import Refused, Room

TRUST = 1.0
"""Seconds for which a mailing that is trusted is not asked about again."""

_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class _News:
    """What results say of mailings. refused: the provider's words, with a refusal of each."""

    accepted: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)

    def without(self, mailing_ids: Collection[int]) -> "_News":
        refused = {one: words for one, words in self.refused.items() if one not in mailing_ids}
        return _News(self.accepted.difference(mailing_ids), refused)

    @property
    def mailing_ids(self) -> set[int]:
        return {*self.accepted, *self.refused}


class Standing:
    """Belongs to one thread. What is written counts from `confirm` on, when it is committed; else the same results come
    again, and so does what is to be written."""

    def __init__(self) -> None:
        self._proven: set[int] = set()  # and not held back: of an answer for them there is nothing to write
        self._trusted: dict[int, float] = {}  # until when
        self._news = _News()  # what could not be written yet, because it was another dispatcher's turn
        self._left = _News()
        self._held: dict[int, float] = {}
        self._accepted: frozenset[int] = frozenset()

    def write(
        self, connection: Connection, entries: Entries, results: Sequence[Result], stuck: Collection[int]
    ) -> None:
        """Writes what results say of their mailings. stuck: those that get nowhere while others do."""
        news = self._left = self._add(results)
        self._held, self._accepted = {}, frozenset()
        if not news.mailing_ids and not stuck:
            return
        ours = standing.take_turns(connection, news.mailing_ids | set(stuck))
        if accepted := news.accepted & ours:
            for mailing_id in standing.prove(connection, accepted):
                entries.look(mailing_id)  # nobody did while it was held back
            self._accepted = accepted
        if refused := news.refused.keys() & ours:
            numbers = Counter(result.attempt.message.mailing_id for result in results if _is_refused(result))
            standing.count_refusals(connection, [Refused(each, numbers[each], news.refused[each]) for each in refused])
        if held := ours.intersection(stuck) - news.accepted:
            self._held = dict(standing.hold(connection, held))
        self._left = news.without(ours)

    def confirm(self) -> None:
        """The transaction was committed."""
        self._news, self._left = self._left, _News()
        self._proven |= self._accepted
        for mailing_id, seconds in self._held.items():
            self._proven.discard(mailing_id)
            self._trusted.pop(mailing_id, None)
            metrics.MAILINGS_HELD.inc()
            logger().warning("mailing_held", mailing_id=mailing_id, for_seconds=seconds)
        self._held = {}

    def room(self, connection: Connection, mailing_ids: Iterable[int]) -> Room:
        """What may be claimed of those of these mailings of which not any number may. Whose turn it is not has no room
        for the moment."""
        now = ticks()
        asked = {each for each in mailing_ids if self._trusted.get(each, 0.0) <= now}
        if not asked:
            return Room({}, ())
        trusted, ours = standing.ask(connection, asked)
        if len(self._trusted) > _MOST_KNOWN:
            self._trusted.clear()
        self._trusted.update(dict.fromkeys(trusted, now + TRUST))
        asked -= trusted
        self._proven -= asked
        found = standing.room(connection, ours) if ours else Room({}, ())
        return Room({**dict.fromkeys(asked - ours, 0), **found.some}, found.none)

    def _add(self, results: Sequence[Result]) -> _News:
        if {result.attempt.message.mailing_id for result in results} <= self._proven:
            return self._news
        if len(self._proven) > _MOST_KNOWN:
            self._proven.clear()
        accepted, refused = set(self._news.accepted), dict(self._news.refused)
        for result in results:
            mailing_id, outcome = result.attempt.message.mailing_id, result.outcome
            if outcome is None or mailing_id in self._proven:
                continue
            if outcome.kind is OutcomeKind.ACCEPTED:
                accepted.add(mailing_id)
            elif _is_refused(result):
                refused[mailing_id] = outcome.words
        for mailing_id in accepted:
            refused.pop(mailing_id, None)
        return _News(frozenset(accepted), refused)


def _is_refused(result: Result) -> bool:
    return result.outcome is not None and result.outcome.kind is OutcomeKind.REFUSED
