"""Phones and the provider's words leave the messages of a client who is erased; what became of these messages stays."""

from sqlalchemy import Connection, text


def erase_messages(connection: Connection, client_id: int) -> int | None:
    """In all parts, whatever state they are in; one of the phones that were there, if there was any.

    One that is on the wire is called with the phone that its dispatcher has; what is written afterwards has none.
    """
    phone: int | None = None
    for part in connection.scalars(_PARTS).all():
        job = {"part": part, "client_id": client_id}
        known = connection.scalar(_PHONE_OF, job)
        connection.execute(_ERASE_WORDS, job)
        connection.execute(_ERASE, job)
        phone = known or phone
    return phone


_PARTS = text("select number from parts order by number")
_OF_CLIENT = "messages where part = :part and client_id = :client_id"
_PHONE_OF = text(f"select phone from {_OF_CLIENT} and phone is not null order by mailing_id desc limit 1")
_ERASE = text("update messages set phone = null where part = :part and client_id = :client_id and phone is not null")

# By their key, whatever the statistics promise.
_ERASE_WORDS = text(f"""
    update attempts set words = null
    where part = :part and words is not null and message_id = any(array(select id from {_OF_CLIENT}))
""")
