"""The directory of clients."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api_service.errors import Conflict, NotFound
from api_service.page import Page
from shared.database.models import Client
from shared.ledger.entries import open_entries
from shared.messages.cancel import cancel_client

_INSERT = insert(Client).returning(Client.id)


def listed(session: Session, page: Page) -> tuple[Sequence[Client], int]:
    """One page in the order of ids, and how many clients there are, both as of one moment."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    total = session.scalar(select(func.count()).select_from(Client)) or 0
    before, size = page.offset, max(0, min(page.size, total - page.offset))
    behind = max(0, total - before - size)
    if before <= behind:
        return session.scalars(select(Client).order_by(Client.id).offset(before).limit(size)).all(), total
    # From the nearer end, since every row on the way to a page is looked at.
    return session.scalars(select(Client).order_by(Client.id.desc()).offset(behind).limit(size)).all()[::-1], total


def found(session: Session, client_id: int, *, lock: bool = False) -> Client:
    """lock: nobody else changes it until the end of the transaction. Raises NotFound."""
    client = session.get(Client, client_id, with_for_update=lock or None)
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    return client


def created(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """One statement. What `schemas.ClientSchema` wants. Raises Conflict."""
    with _one_phone_each():
        client_id = connection.execute(_INSERT, values).scalar_one()
    return {"id": client_id, **values}


def changed(session: Session, client_id: int, values: Mapping[str, Any]) -> Client:
    """Raises NotFound, Conflict."""
    client = found(session, client_id, lock=True)
    with _one_phone_each():
        for name, value in values.items():
            setattr(client, name, value)
        session.flush()
    return client


def delete(session: Session, client_id: int, slot: int) -> None:
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
