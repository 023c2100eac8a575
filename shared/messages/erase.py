"""Phones, texts and the provider's words leave the messages of a client who is erased; what became of these stays."""

from sqlalchemy import Connection, text


def erase_messages(connection: Connection, client_id: int) -> set[int]:
    """In all parts, whatever state they are in; the phones that were there.

    One that is on the wire is called with the phone that its dispatcher has; what is written afterwards has none. One
    that somebody has locked is left for the next time: whoever calls asks `is_erased` in the end.
    """
    phones: set[int] = set()
    for part in connection.scalars(_PARTS).all():
        job = {"part": part, "client_id": client_id}
        for erase in _ERASE_WORDS, _ERASE_REASONS, _ERASE_EARLY_REASONS, _ERASE_REFERENCES:
            connection.execute(erase, job)
        phones.update(connection.scalars(_ERASE, job))
    return phones


def is_erased(connection: Connection, client_id: int) -> bool:
    """Whether no message of theirs has a phone or a text of its own."""
    parts = connection.scalars(_PARTS).all()
    return not any(connection.scalar(_IS_ANY_LEFT, {"part": part, "client_id": client_id}) for part in parts)


_PARTS = text("select number from parts order by number")
_OF_CLIENT = "messages where part = :part and client_id = :client_id"
_IS_LEFT = "(phone is not null or text is not null)"
_IS_ANY_LEFT = text(f"select exists (select from {_OF_CLIENT} and {_IS_LEFT})")
_ERASE = text(f"""
    with job as materialized (select id, phone from {_OF_CLIENT} and {_IS_LEFT} for update skip locked),
    erased as (update messages m set phone = null, text = null from job where m.part = :part and m.id = job.id)
    select distinct phone from job where phone is not null
""")

# By their key, whatever the statistics promise.
_ERASE_WORDS = text(f"""
    update attempts set words = null
    where part = :part and words is not null and message_id = any(array(select id from {_OF_CLIENT}))
""")
_OF_THEIRS = f"message_id = any(array(select id from {_OF_CLIENT}))"
_ERASE_REASONS = text(f"""
    update receipts set reason = null where part = :part and reason is not null and {_OF_THEIRS}
""")
_ERASE_EARLY_REASONS = text(f"update waiting_receipts set reason = null where reason is not null and {_OF_THEIRS}")

# What the provider calls a message leads to a person there.
_ERASE_REFERENCES = text(f"delete from message_references where part = :part and {_OF_THEIRS}")
