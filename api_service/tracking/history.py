"""What a client was ever sent, page by page, the latest mailings first."""

from typing import Any

from sqlalchemy import Row, exists, select
from sqlalchemy.orm import Session

from api_service.web.page import After, Listing, Part, after
from api_service.web.problems import Invalid, NotFound
from api_service.web.work import is_of_tests
from shared.database.models import Client
from shared.messages.find import find_message, read_history, skip_history


def client_with(session: Session, phone: int) -> int | None:
    """The id of the client who has a phone now."""
    return session.scalar(select(Client.id).where(Client.phone == phone))


def list_history(session: Session, client_id: int, part: Part) -> Listing[Row[Any]]:
    """A part of a client's messages. Raises Invalid where the message after which it goes on is not there.

    Whoever was deleted has theirs all the same.
    """
    connection, is_test = session.connection(), is_of_tests(session)
    if isinstance(part, After):
        before = _place(session, client_id, part.id) if part.id else None
        return after(read_history(connection, client_id, part.size + 1, before, is_test=is_test), part)
    total, before = skip_history(connection, client_id, part.offset, is_test=is_test)
    rows = read_history(connection, client_id, part.size, before, is_test=is_test) if part.offset < total else []
    return Listing(rows, part, total)


def check_known(session: Session, client_id: int) -> None:
    """Of somebody who has no messages. Raises NotFound."""
    if not session.scalar(select(exists().where(Client.id == client_id))):
        raise NotFound(f"There is no client {client_id}.")


def _place(session: Session, client_id: int, message_id: int) -> tuple[int, int]:
    message = find_message(session.connection(), message_id)
    if message is None or message.client_id != client_id:
        raise Invalid({"after_id": ["Is no message of this client, or not any more."]}, place="query")
    return message.part, message.mailing_id
