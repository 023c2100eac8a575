"""After a change of its send window, a mailing's messages wait for the hours that it has now."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act, Isolation
from shared.ledger.entries import Entries
from shared.messages.retime import Retimed, retime_messages

RETIME_SPAN = 5_000
"""Ids that a slice looks at."""


class RetimeWindows(Chore):
    """Times the messages of mailings whose window was changed anew, slice by slice. The flag goes with the last one."""

    name = "retime_windows"
    pause = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[int, Retimed] = {}  # how far each mailing has been gone through

    def work(self, step: Step) -> bool:
        changed = [mailing.id for mailing in step.mailings if mailing.window_changed]
        self._under_way = {each: self._under_way[each] for each in changed if each in self._under_way}
        return self.in_turn(changed, lambda mailing_id: self._retime(step.acts, mailing_id))

    def _retime(self, acts: Isolation, mailing_id: int) -> int | None:
        """1: there is more of it."""
        done = acts.run(self.name, mailing_id, _retiming(mailing_id, self._under_way.get(mailing_id)))
        if done is None:
            return None
        self._under_way[mailing_id] = done
        return not done.complete


def _retiming(mailing_id: int, before: Retimed | None) -> Act[Retimed]:
    def retime(connection: Connection, entries: Entries) -> Retimed:
        done = retime_messages(connection, entries, mailing_id, RETIME_SPAN, before)
        if done.complete:
            connection.execute(_WINDOW_IS_KNOWN, {"mailing_id": mailing_id})
        return done

    return retime


_WINDOW_IS_KNOWN = text("update mailings set window_changed = false where id = :mailing_id")
