"""The counters of the mailings, kept in the transaction that moves the messages.

    audience of a mailing = its messages, summed over all states

holds at every moment because nothing but an `Entries` writes the counters, and every statement that moves messages
hands what it moved to one.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.ledger.names import ERROR_PREFIX, REPEATED, STATES

SLOTS = 16


def any_slot() -> int:
    """A slot for a process to count in. Two processes may share one; they then wait for each other's commits."""
    return secrets.randbelow(SLOTS)


class Entries:
    """What one transaction moves. Written as one statement per table, in the order of the mailings' ids, so that two
    transactions never wait for each other in a circle."""

    def __init__(self) -> None:
        self._states: dict[int, Counter[MessageState]] = {}
        self._tallies: Counter[tuple[int, str]] = Counter()

    def created(self, mailing_id: int, state: MessageState, count: int) -> None:
        self._add(mailing_id, state, count)

    def moved(
        self, mailing_id: int, before: MessageState, after: MessageState, count: int = 1, error: Error | None = None
    ) -> None:
        """`error`: of the attempt that led to the move, if it failed."""
        self._states.setdefault(mailing_id, Counter())[before] -= count
        self._add(mailing_id, after, count)
        if error:
            self._tallies[mailing_id, ERROR_PREFIX + error] += count

    def repeated(self, mailing_id: int, count: int) -> None:
        """Messages that are about to be sent again although the provider may have them; below 0: they were not."""
        self._tallies[mailing_id, REPEATED] += count

    def _add(self, mailing_id: int, state: MessageState, count: int) -> None:
        self._states.setdefault(mailing_id, Counter())[state] += count
        if state in FINAL_STATES:
            self._tallies[mailing_id, state] += count

    def write(self, connection: Connection, slot: int) -> None:
        moved = sorted((mailing_id, states) for mailing_id, states in self._states.items() if any(states.values()))
        if moved:
            counts = {str(state): [states[state] for _, states in moved] for state in MessageState}
            mailing_ids = [mailing_id for mailing_id, _ in moved]
            connection.execute(_COUNT, {"slot": slot, "mailing_ids": mailing_ids, **counts})
        tallies = sorted((key, count) for key, count in self._tallies.items() if count)
        if tallies:
            connection.execute(
                _TALLY,
                {
                    "slot": slot,
                    "mailing_ids": [mailing_id for (mailing_id, _), _ in tallies],
                    "names": [str(name) for (_, name), _ in tallies],
                    "counts": [count for _, count in tallies],
                },
            )


_COUNT = text(f"""
    insert into mailing_counters as c (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at)
    select mailing_id, :slot, {", ".join(STATES)}, case when sent > 0 then now() end, case when sent > 0 then now() end
    from unnest(cast(:mailing_ids as bigint[]), {", ".join(f"cast(:{name} as bigint[])" for name in STATES)})
        as moved (mailing_id, {", ".join(STATES)})
    on conflict (mailing_id, slot) do update
    set {", ".join(f"{name} = c.{name} + excluded.{name}" for name in STATES)},
        first_sent_at = coalesce(c.first_sent_at, excluded.first_sent_at),
        last_sent_at = coalesce(excluded.last_sent_at, c.last_sent_at)
""")

_TALLY = text("""
    insert into tallies as t (mailing_id, quarter, slot, name, count)
    select mailing_id, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00+00'), :slot, name, count
    from unnest(cast(:mailing_ids as bigint[]), cast(:names as text[]), cast(:counts as bigint[]))
        as happened (mailing_id, name, count)
    on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
""")


@contextmanager
def open_entries(connection: Connection, slot: int) -> Iterator[Entries]:
    """The entries of the transaction that the connection is in, written when the block ends well."""
    moved = Entries()
    yield moved
    moved.write(connection, slot)
