"""After a change of its send window, a mailing's messages wait for the hours that it has now."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act
from shared.ledger.entries import Entries
from shared.messages.retime import retime_messages

RETIME_SLICE = 5_000


class RetimeWindows(Chore):
    """Times the messages of mailings whose window was changed anew, slice by slice. The flag goes with the last one."""

    name = "retime_windows"
    pause = 0.0

    def work(self, step: Step) -> bool:
        changed = [mailing.id for mailing in step.mailings if mailing.window_changed]
        return self.in_turn(changed, lambda mailing_id: step.acts.run(self.name, mailing_id, _retiming(mailing_id)))


def _retiming(mailing_id: int) -> Act[int]:
    def retime(connection: Connection, entries: Entries) -> int:
        connection.execute(_LOCK, {"mailing_id": mailing_id})
        count = retime_messages(connection, entries, mailing_id, RETIME_SLICE)
        if not count:
            connection.execute(_WINDOW_IS_KNOWN, {"mailing_id": mailing_id})
        return count

    return retime


_LOCK = text("select from mailings where id = :mailing_id for update")
_WINDOW_IS_KNOWN = text("update mailings set window_changed = false where id = :mailing_id")
