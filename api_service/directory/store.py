"""The directory of clients."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api_service.web.page import Page, rows
from api_service.web.problems import Conflict, NotFound
from shared.database.models import Client
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.cancel import cancel_client
from shared.messages.follow import follow_phone

_INSERT = insert(Client).returning(Client.id)


def listed(session: Session, page: Page) -> tuple[Sequence[Client], int]:
    """One page in the order of ids, and how many clients there are. In a `parts.snapshot`."""
    total = session.scalar(select(func.count()).select_from(Client)) or 0
    return rows(session, select(Client), Client.id, page, total), total


def found(session: Session, client_id: int, *, lock: bool = False) -> Client:
    """lock: nobody else changes it until the end of the transaction. Raises NotFound."""
    client = session.get(Client, client_id, with_for_update=lock or None)
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    return client


def created(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """One statement. What `ClientSchema` wants. Raises Conflict."""
    with _one_phone_each():
        client_id = connection.execute(_INSERT, values).scalar_one()
    return {"id": client_id, **values}


def changed(session: Session, client_id: int, values: Mapping[str, Any]) -> Client:
    """With their phone, that of their messages which were never called. Raises NotFound, Conflict."""
    client = found(session, client_id, lock=True)
    phone = client.phone
    with _one_phone_each():
        for name, value in values.items():
            setattr(client, name, value)
        session.flush()
    if client.phone != phone:
        follow_phone(session.connection(), client_id, client.phone)
    return client


def delete(session: Session, client_id: int, slot: Slot) -> None:
    """Also cancels the client's open messages. Raises NotFound."""
    session.delete(found(session, client_id, lock=True))
    session.flush()
    with open_entries(session.connection(), slot) as entries:
        cancel_client(session.connection(), entries, client_id)


@contextmanager
def _one_phone_each() -> Iterator[None]:
    """Only the constraint can tell, because another request may be storing the same phone right now."""
    try:
        yield
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise Conflict("Another client has this phone.", {"phone": ["Belongs to another client."]}) from error
