"""The counters of the mailings, kept in the transaction that moves the messages.

    audience of a mailing = its messages, summed over all states

holds at every moment because nothing but an `Entries` writes the counters, and every statement that moves messages
hands what it moved to one. Whether it does is checked (`shared.ledger.check`).
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.ledger.names import ERROR_PREFIX, QUARTER, REPEATED, STATES

SLOTS = 16


class When(NamedTuple):
    """When messages were moved: in one quarter of an hour, the first and the last of them."""

    quarter: datetime
    first: datetime
    last: datetime


def any_slot() -> int:
    """A slot for a process to count in. Two processes may share one; they then wait for each other's commits."""
    return secrets.randbelow(SLOTS)


class Entries:
    """What one transaction moves. Written as one statement per table, in the order of the mailings' ids, so that two
    transactions never wait for each other in a circle. What is given without a time happens now, by the database's
    clock."""

    def __init__(self) -> None:
        self._states: dict[int, Counter[MessageState]] = {}
        self._sent: dict[int, When] = {}
        self._tallies: Counter[tuple[int, str, datetime | None]] = Counter()

    def created(self, mailing_id: int, state: MessageState, count: int) -> None:
        self._add(mailing_id, state, count)

    def moved(
        self,
        mailing_id: int,
        before: MessageState,
        after: MessageState,
        count: int = 1,
        error: Error | None = None,
        *,
        when: When | None = None,
    ) -> None:
        """error: of the attempt that led to the move, if it failed. when: None: in this transaction."""
        self._states.setdefault(mailing_id, Counter())[before] -= count
        self._add(mailing_id, after, count, when)
        if error:
            self._tallies[mailing_id, ERROR_PREFIX + error, when and when.quarter] += count

    def repeated(self, mailing_id: int, count: int) -> None:
        """Messages that are about to be sent again although the provider may have them; below 0: they were not."""
        self._tallies[mailing_id, REPEATED, None] += count

    def _add(self, mailing_id: int, state: MessageState, count: int, when: When | None = None) -> None:
        self._states.setdefault(mailing_id, Counter())[state] += count
        if state in FINAL_STATES:
            self._tallies[mailing_id, state, when and when.quarter] += count
        if state is MessageState.SENT and when:
            known = self._sent.get(mailing_id, when)
            self._sent[mailing_id] = When(when.quarter, min(known.first, when.first), max(known.last, when.last))

    def write(self, connection: Connection, slot: int) -> None:
        moved = sorted((mailing_id, states) for mailing_id, states in self._states.items() if any(states.values()))
        if moved:
            counts = {str(state): [states[state] for _, states in moved] for state in MessageState}
            mailing_ids = [mailing_id for mailing_id, _ in moved]
            sent = [self._sent.get(mailing_id) for mailing_id in mailing_ids]
            connection.execute(
                _COUNT,
                {
                    "slot": slot,
                    "mailing_ids": mailing_ids,
                    "firsts": [when and when.first for when in sent],
                    "lasts": [when and when.last for when in sent],
                    **counts,
                },
            )
        tallies = [(key, count) for key, count in self._tallies.items() if count]
        if tallies:
            connection.execute(
                _TALLY,
                {
                    "slot": slot,
                    "mailing_ids": [mailing_id for (mailing_id, _, _), _ in tallies],
                    "names": [str(name) for (_, name, _), _ in tallies],
                    "moments": [moment for (_, _, moment), _ in tallies],
                    "counts": [count for _, count in tallies],
                },
            )


_COUNT = text(f"""
    insert into mailing_counters as c (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at)
    select mailing_id, :slot, {", ".join(STATES)},
           case when sent > 0 then coalesce(first, now()) end, case when sent > 0 then coalesce(last, now()) end
    from unnest(cast(:mailing_ids as bigint[]), {", ".join(f"cast(:{name} as bigint[])" for name in STATES)},
                cast(:firsts as timestamptz[]), cast(:lasts as timestamptz[]))
        as moved (mailing_id, {", ".join(STATES)}, first, last)
    on conflict (mailing_id, slot) do update
    set {", ".join(f"{name} = c.{name} + excluded.{name}" for name in STATES)},
        first_sent_at = least(c.first_sent_at, excluded.first_sent_at),
        last_sent_at = greatest(c.last_sent_at, excluded.last_sent_at)
""")

_TALLY = text(f"""
    insert into tallies as t (mailing_id, quarter, slot, name, count)
    select mailing_id, {QUARTER} as quarter, :slot, name, sum(count)
    from (
        select mailing_id, name, coalesce(moment, now()) as moment, count
        from unnest(cast(:mailing_ids as bigint[]), cast(:names as text[]), cast(:moments as timestamptz[]),
                    cast(:counts as bigint[])) as happened (mailing_id, name, moment, count)
    ) happened
    group by mailing_id, quarter, name order by mailing_id, quarter, name
    on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
""")


@contextmanager
def open_entries(connection: Connection, slot: int) -> Iterator[Entries]:
    """The entries of the transaction that the connection is in, written when the block ends well."""
    moved = Entries()
    yield moved
    moved.write(connection, slot)
