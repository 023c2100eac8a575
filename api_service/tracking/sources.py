"""What a client has of the mailing that a retry is of, and of its other retries."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from api_service.tracking.explain_retry import Source
from shared.database.models import Mailing
from shared.domain.message import UNDELIVERED_STATES
from shared.messages.find import find_of_client


def read(connection: Connection, mailing: Mailing, client_id: int) -> Source:
    """mailing: the retry."""
    family = connection.execute(_FAMILY, {"root": mailing.retry_root, "source": mailing.retry_of}).all()
    source = next(one for one in family if one.id == mailing.retry_of)
    if source.messages_removed_at is not None:
        return Source(is_kept=False)
    found = find_of_client(connection, source.part, source.id, client_id) if source.part is not None else None
    if found is None:
        return Source(is_kept=True)
    others = [one for one in family if one.id not in (mailing.id, source.id, mailing.retry_root)]
    is_reached = any(
        message is not None and message.status not in UNDELIVERED_STATES
        for message in (find_of_client(connection, one.part, one.id, client_id) for one in others)
    )
    return Source(True, found.id, found.status, found.error, is_reached)


# With a part: else nobody has a message of it.
_FAMILY = text("""
    select id, part, messages_removed_at from mailings
    where (retry_root = :root or id = :root) and (part is not null or id = :source) order by id
""")


def read_retries(connection: Connection, mailing_id: int, most: int) -> Sequence[int]:
    """The ids of its first retries that are not deleted."""
    return connection.scalars(_RETRIES, {"mailing_id": mailing_id, "most": most}).all()


_RETRIES = text("""
    select id from mailings where retry_of = :mailing_id and deleted_at is null order by id limit :most
""")
