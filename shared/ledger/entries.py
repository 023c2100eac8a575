"""The counters of the mailings, kept in the transaction that moves the messages.

    audience of a mailing = its messages, summed over all states

holds at every moment because nothing but an `Entries` writes the counters, and every statement that moves messages
hands what it moved to one. Whether it does is checked (`shared.ledger.check`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.apart import IS_HIDDEN
from shared.domain.message import FINAL_STATES, HELD_STATES, Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import RECEIPTS, ReceiptState, counted_as
from shared.ledger import pace
from shared.ledger.figures import Figures
from shared.ledger.names import ERROR_PREFIX, QUARTER, REASON_PREFIX, RECEIPT_PREFIX, REPEATED, STATES
from shared.ledger.slot import Slot
from shared.ledger.totals import ALL_NAMES, NAMES

AT_ONCE = timedelta(0)


class When(NamedTuple):
    """When messages were moved: in one quarter of an hour, the first and the last of them."""

    quarter: datetime
    first: datetime
    last: datetime


class Entries:
    """What one transaction moves. Written as one statement per table, all of them together, in the order of the
    mailings' ids, so that two transactions never wait for each other in a circle. What is given without a time happens
    now, by the database's clock.

    With its counts a mailing gets its hint: when it is to be looked at because of what was moved. The leader looks at
    no mailing without one that is due, so nothing that waits may be due before it.
    """

    def __init__(self) -> None:
        self._states: dict[int, Counter[MessageState]] = {}
        self._sent: dict[int, When] = {}
        self._tallies: Counter[tuple[int, str, datetime | None]] = Counter()
        self._looks: dict[int, timedelta] = {}
        self._totals: Counter[str] = Counter()
        self._settled: Counter[int] = Counter()  # messages that calls have ended
        self._openings: Counter[tuple[int, datetime]] = Counter()
        self._receipts: dict[int, Counter[str]] = {}

    def __bool__(self) -> bool:
        return bool(
            self._states
            or self._looks
            or self._tallies
            or self._openings
            or any(self._totals.values())
            or self._receipts
        )

    def created(self, mailing_id: int, state: MessageState, count: int, reason: Reason | None = None) -> None:
        """reason: why they are skipped, if they are."""
        self._totals["audience"] += count
        self._add(mailing_id, state, count, AT_ONCE, reason=reason)

    def moved(
        self,
        mailing_id: int,
        before: MessageState,
        after: MessageState,
        count: int = 1,
        error: Error | None = None,
        *,
        reason: Reason | None = None,
        due_in: timedelta = AT_ONCE,
        when: When | None = None,
    ) -> None:
        """error: of the attempt that led to the move, if it failed. reason: why they are skipped, if they are. due_in:
        how long after now() the first of the messages is to be looked at; where it is not said the mailing is looked at
        once, which is never too late. when: None: in this transaction."""
        self._totals[before] -= count
        self._states.setdefault(mailing_id, Counter())[before] -= count
        if before in HELD_STATES and after in FINAL_STATES:
            self._settled[mailing_id] += count
        self._add(mailing_id, after, count, due_in, when=when, reason=reason)
        if error:
            self._tallies[mailing_id, ERROR_PREFIX + error, when and when.quarter] += count

    def repeated(self, mailing_id: int, count: int) -> None:
        """Messages that are about to be sent again although the provider may have them; below 0: they were not."""
        self._tallies[mailing_id, REPEATED, None] += count

    def received(
        self,
        mailing_id: int,
        status: MessageState,
        before: ReceiptState | None,
        after: ReceiptState,
        count: int = 1,
    ) -> None:
        """Receipts of messages that ended so. before: what an earlier one had said, if there was one.

        The tally has every one that comes, also where it replaces an earlier one.
        """
        moved = self._receipts.setdefault(mailing_id, Counter())
        if before is not None and (name := counted_as(status, before)):
            moved[name] -= count
        if name := counted_as(status, after):
            moved[name] += count
            self._tallies[mailing_id, RECEIPT_PREFIX + name, None] += count

    def look(self, mailing_id: int, due_in: timedelta = AT_ONCE) -> None:
        """The mailing is to be looked at, so long after now()."""
        self._looks[mailing_id] = min(due_in, self._looks.get(mailing_id, due_in))

    def opens(self, mailing_id: int, opens_at: datetime, count: int) -> None:
        """Messages wait until the send window opens at that moment; below 0: they do not any more."""
        self._openings[mailing_id, opens_at] += count

    def shown(self, mailings: int) -> None:
        """How many mailings more lists show; below 0: fewer."""
        self._totals["mailings"] += mailings

    def hidden(self, figures: Figures) -> None:
        """Of a finished mailing that nobody is to see any more: the totals are without it from now on."""
        self._totals["audience"] -= figures.audience
        self._totals.subtract(figures.states)
        self._totals.subtract(figures.receipts)

    def _add(
        self,
        mailing_id: int,
        state: MessageState,
        count: int,
        due_in: timedelta,
        *,
        when: When | None = None,
        reason: Reason | None = None,
    ) -> None:
        self._totals[state] += count
        self._states.setdefault(mailing_id, Counter())[state] += count
        if state in FINAL_STATES:
            self._tallies[mailing_id, state, when and when.quarter] += count
        if reason and state is MessageState.SKIPPED:
            self._tallies[mailing_id, REASON_PREFIX + reason, None] += count
        if state is MessageState.SENT and when:
            known = self._sent.get(mailing_id, when)
            self._sent[mailing_id] = When(when.quarter, min(known.first, when.first), max(known.last, when.last))
        if state is not MessageState.SENDING:  # leases that run out are found without a hint
            self.look(mailing_id, due_in)

    def write(self, connection: Connection, slot: int) -> None:
        written: list[TextClause] = []
        values: dict[str, object] = {"slot": slot}
        for statement, more in self._moves():
            written.append(statement)
            values |= more
        if written:
            connection.execute(_together(*written), values)

    def _moves(self) -> Iterator[tuple[TextClause, Mapping[str, object]]]:
        """What is to be written, in this order, with values of names of its own."""
        moved = {mailing_id for mailing_id, states in self._states.items() if any(states.values())}
        if mailing_ids := sorted(moved | self._looks.keys()):
            states = [self._states.get(mailing_id, Counter[MessageState]()) for mailing_id in mailing_ids]
            counts = {str(state): [each[state] for each in states] for state in MessageState}
            looks = [_microseconds(self._looks.get(mailing_id)) for mailing_id in mailing_ids]
            sent = [self._sent.get(mailing_id) for mailing_id in mailing_ids]
            times = {"firsts": [when and when.first for when in sent], "lasts": [when and when.last for when in sent]}
            settled = [self._settled[mailing_id] for mailing_id in mailing_ids]
            yield _COUNT, {"mailing_ids": mailing_ids, "looks": looks, "settled": settled, **times, **counts}
        received = [mailing_id for mailing_id, moved in sorted(self._receipts.items()) if any(moved.values())]
        receipts = {name: [self._receipts[mailing_id][name] for mailing_id in received] for name in RECEIPTS}
        if received:
            yield _COUNT_RECEIPTS, {"received": received, **receipts}
        if tallies := [(key, count) for key, count in self._tallies.items() if count]:
            yield (
                _TALLY,
                {
                    "tallied": [mailing_id for (mailing_id, _, _), _ in tallies],
                    "tally_names": [str(name) for (_, name, _), _ in tallies],
                    "tally_moments": [moment for (_, _, moment), _ in tallies],
                    "tally_counts": [count for _, count in tallies],
                },
            )
        if openings := sorted((key, count) for key, count in self._openings.items() if count):
            yield (
                _OPEN,
                {
                    "opened": [mailing_id for (mailing_id, _), _ in openings],
                    "opening_moments": [moment for (_, moment), _ in openings],
                    "opening_counts": [count for _, count in openings],
                },
            )
        if any(self._totals.values()):
            has_receipts = any(self._totals[name] for name in RECEIPTS)  # of mailings that are hidden
            statement, names = (_TOTAL_WITH_RECEIPTS, ALL_NAMES) if has_receipts else (_TOTAL, NAMES)
            yield statement, {f"total_{name}": self._totals[name] for name in names}
        if received:
            yield _TOTAL_RECEIPTS, {}


@cache
def _together(*statements: TextClause) -> TextClause:
    """One after the other, each with what is committed by then, and for one answer that is waited for."""
    return text("; ".join(statement.text for statement in statements))


def _microseconds(wait: timedelta | None) -> int | None:
    return None if wait is None else wait // timedelta(microseconds=1)


# A hint stays while it is nearer than the new one: as long as it does not change, no index has to be told.
_COUNT = text(f"""
    insert into mailing_counters as c (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at, due_at,
                                       pace_count, paced_at)
    select mailing_id, :slot, {", ".join(STATES)},
           case when sent > 0 then coalesce(first, now()) end, case when sent > 0 then coalesce(last, now()) end,
           now() + look * interval '1 microsecond', settled, case when settled > 0 then now() end
    from unnest(cast(:mailing_ids as bigint[]), cast(:looks as bigint[]), cast(:settled as bigint[]),
                cast(:firsts as timestamptz[]), cast(:lasts as timestamptz[]),
                {", ".join(f"cast(:{name} as bigint[])" for name in STATES)})
        as moved (mailing_id, look, settled, first, last, {", ".join(STATES)})
    on conflict (mailing_id, slot) do update
    set {", ".join(f"{name} = c.{name} + excluded.{name}" for name in STATES)},
        first_sent_at = least(c.first_sent_at, excluded.first_sent_at),
        last_sent_at = greatest(c.last_sent_at, excluded.last_sent_at),
        due_at = least(c.due_at, excluded.due_at), {pace.COUNT}
""")

_OPEN = text("""
    insert into mailing_openings as o (mailing_id, slot, opens_at, messages)
    select mailing_id, :slot, opens_at, messages
    from unnest(cast(:opened as bigint[]), cast(:opening_moments as timestamptz[]), cast(:opening_counts as bigint[]))
        as waiting (mailing_id, opens_at, messages)
    on conflict (mailing_id, slot, opens_at) do update set messages = o.messages + excluded.messages
""")

# Apart from the counters of messages, which so cost the same whether there are receipts or not. They come for days
# after a mailing is finished.
_MOVED = f"""
    unnest(cast(:received as bigint[]), {", ".join(f"cast(:{name} as bigint[])" for name in RECEIPTS)})
        as moved (mailing_id, {", ".join(RECEIPTS)})
"""
_COUNT_RECEIPTS = text(f"""
    insert into receipt_counters as c (mailing_id, slot, moved_at, {", ".join(RECEIPTS)})
    select mailing_id, :slot, {QUARTER}, {", ".join(RECEIPTS)} from {_MOVED}, (select now() as moment) clock
    on conflict (mailing_id, slot) do update
    set moved_at = excluded.moved_at, {", ".join(f"{name} = c.{name} + excluded.{name}" for name in RECEIPTS)}
""")

# A mailing that is hidden is not in the totals from its end on, and neither is what comes then. It is looked at behind
# its counter: who takes it out of the totals holds that (`shared.ledger.fold`), so one of the two sees the other.
_TOTAL_RECEIPTS = text(f"""
    insert into ledger_totals as t (slot, {", ".join(RECEIPTS)})
    select :slot, {", ".join(f"sum({name})" for name in RECEIPTS)}
    from {_MOVED} cross join lateral (
        select from mailings where id = mailing_id and (finished_at is null or not {IS_HIDDEN}) limit 1
    ) g
    having count(*) > 0
    on conflict (slot) do update set {", ".join(f"{name} = t.{name} + excluded.{name}" for name in RECEIPTS)}
""")

_TALLY = text(f"""
    insert into tallies as t (mailing_id, quarter, slot, name, count)
    select mailing_id, {QUARTER} as quarter, :slot, name, sum(count)
    from (
        select mailing_id, name, coalesce(moment, now()) as moment, count
        from unnest(cast(:tallied as bigint[]), cast(:tally_names as text[]), cast(:tally_moments as timestamptz[]),
                    cast(:tally_counts as bigint[])) as happened (mailing_id, name, moment, count)
    ) happened
    group by mailing_id, quarter, name order by mailing_id, quarter, name
    on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
""")


def _total(names: Sequence[str]) -> TextClause:
    return text(f"""
        insert into ledger_totals as t (slot, {", ".join(names)})
        values (:slot, {", ".join(f":total_{name}" for name in names)})
        on conflict (slot) do update set {", ".join(f"{name} = t.{name} + excluded.{name}" for name in names)}
    """)


_TOTAL = _total(NAMES)
_TOTAL_WITH_RECEIPTS = _total(ALL_NAMES)


@contextmanager
def open_entries(connection: Connection, slot: Slot | int) -> Iterator[Entries]:
    """The entries of the transaction that the connection is in, written when the block ends well."""
    moved = Entries()
    yield moved
    if moved:
        moved.write(connection, slot if isinstance(slot, int) else slot.number(connection))
