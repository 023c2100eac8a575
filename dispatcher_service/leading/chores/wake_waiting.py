"""After an outage of the provider, what waits because of it does not wait for its rung."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act, Isolation
from shared import metrics
from shared.ledger.entries import Entries
from shared.messages.wake import Woken, wake_waiting


class WakeWaiting(Chore):
    """When a dispatcher has written down that the provider serves again (`shared.standing.provider_returned`), goes
    through the mailings that have a hint once, nearest end first, slice by slice; after those that an earlier outage
    has left, if it was over only a moment ago. A leader that has just taken the lead does so as well, for what the one
    before it may have left."""

    name = "wake_waiting"
    pause = 0.5

    def __init__(self, longest_rung: timedelta) -> None:
        """longest_rung: nothing waits for longer."""
        super().__init__()
        self._within = longest_rung.total_seconds()
        self._returned_at: datetime | None = None
        self._left: dict[int, datetime | None] = {}  # mailings to go through, and where each of them goes on

    def work(self, step: Step) -> bool | None:
        # Also while some are left: one that is in trouble may be for hours, and there may be another outage meanwhile.
        returned_at = step.acts.run(self.name, None, lambda connection, _: connection.scalar(_RETURNED))
        if returned_at not in (None, self._returned_at):
            found = step.acts.run(self.name, None, lambda connection, _: _hinted(connection, self._within))
            if found is None:
                return None
            self._returned_at, self._left = returned_at, dict.fromkeys([*self._left, *found])
        return self.in_turn(list(self._left), lambda mailing_id: self._wake(step.acts, mailing_id))

    def _wake(self, acts: Isolation, mailing_id: int) -> int | None:
        woken = acts.run(self.name, mailing_id, self._waking(mailing_id))
        if woken is None:
            return None
        metrics.MESSAGES_WOKEN.inc(woken.number)
        if woken.last is None:
            del self._left[mailing_id]
        else:
            self._left[mailing_id] = woken.last
        return woken.number

    def _waking(self, mailing_id: int) -> Act[Woken]:
        after = self._left[mailing_id]

        def act(connection: Connection, entries: Entries) -> Woken:
            return wake_waiting(connection, entries, mailing_id, after=after, within=self._within)

        return act


_RETURNED = text("select returned_at from provider_returns where lane = 0")


def _hinted(connection: Connection, within: float) -> Sequence[int]:
    return connection.scalars(_HINTED, {"within": within}).all()


# Whoever leaves a message on a rung leaves a hint.
_HINTED = text("""
    select m.id from (select distinct mailing_id from mailing_counters
                      where due_at <= now() + (:within + 60) * interval '1 second') hinted
    cross join lateral (select id, ends_at from mailings where id = hinted.mailing_id and finished_at is null limit 1) m
    order by m.ends_at, m.id
""")
