"""Phones and the provider's words leave the messages of a client who is erased; what became of these messages stays."""

from sqlalchemy import Connection, text


def erase_messages(connection: Connection, client_id: int) -> set[int]:
    """In all parts, whatever state they are in; the phones that were there.

    One that is on the wire is called with the phone that its dispatcher has; what is written afterwards has none.
    """
    phones: set[int] = set()
    for part in connection.scalars(_PARTS).all():
        job = {"part": part, "client_id": client_id}
        phones.update(connection.scalars(_PHONES_OF, job))
        connection.execute(_ERASE_WORDS, job)
        connection.execute(_ERASE, job)
    return phones


_PARTS = text("select number from parts order by number")
_OF_CLIENT = "messages where part = :part and client_id = :client_id"
_PHONES_OF = text(f"select distinct phone from {_OF_CLIENT} and phone is not null")
_ERASE = text("update messages set phone = null where part = :part and client_id = :client_id and phone is not null")

# By their key, whatever the statistics promise.
_ERASE_WORDS = text(f"""
    update attempts set words = null
    where part = :part and words is not null and message_id = any(array(select id from {_OF_CLIENT}))
""")
