"""The phone in a message's row follows the client's until the first call."""

from sqlalchemy import Connection, text

from shared.messages.fragments import IS_CALLED, OF_CLIENT
from shared.messages.parts import open_parts


def follow_phone(connection: Connection, client_id: int, phone: int) -> None:
    """The client has another phone: messages that wait and were never called go there.

    One that somebody has locked, or has claimed, is looked at when it is handed back or claimed the next time.
    """
    for part in open_parts(connection):
        connection.execute(_FOLLOW, {"part": part, "client_id": client_id, "phone": phone})


_FOLLOW = text(f"""
    with job as materialized ({OF_CLIENT} and not {IS_CALLED})
    update messages m set phone = :phone from job where m.part = :part and m.id = job.id
""")
