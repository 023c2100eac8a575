"""After a change of its send window, a mailing's messages wait for the hours that it has now."""

from sqlalchemy import Connection, text

from shared.messages.retime import retime_messages

RETIME_SLICE = 5_000


def retime_windows(connection: Connection, mailing_id: int) -> bool:
    """The next slice of a mailing whose window was changed; whether there was one. The flag goes with the last one."""
    with connection.begin():
        connection.execute(_LOCK, {"mailing_id": mailing_id})
        more = retime_messages(connection, mailing_id, RETIME_SLICE) > 0
        if not more:
            connection.execute(_WINDOW_IS_KNOWN, {"mailing_id": mailing_id})
    return more


_LOCK = text("select from mailings where id = :mailing_id for update")
_WINDOW_IS_KNOWN = text("update mailings set window_changed = false where id = :mailing_id")
