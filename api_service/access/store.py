"""The keys of the API, in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api_service.web.key import Key, Scope, Token
from api_service.web.problems import KeyIsOver, NotFound
from shared import clock
from shared.database.models import ApiKey


def stored(session: Session, token: Token, name: str, scope: Scope, expires_at: datetime | None) -> bool:
    """False where a key of that id is stored already; it stays as it is."""
    values = {"id": token.id, "name": name, "scope": scope, "digest": token.digest, "expires_at": expires_at}
    rows = session.execute(insert(ApiKey).values(values).on_conflict_do_nothing().returning(ApiKey.id))
    return rows.first() is not None


def listed(session: Session) -> Sequence[ApiKey]:
    """All there ever were, the oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).all()


def revoke(session: Session, key_id: str) -> ApiKey:
    """For good. Repeating it is harmless. Raises NotFound."""
    one = find(session, key_id)
    one.revoked_at = one.revoked_at or clock.now()
    return one


def rotate(session: Session, key_id: str, token: Token, overlap: timedelta, expires_at: datetime | None) -> ApiKey:
    """Stores a token as the successor of a key, with its name and scope; the key itself opens nothing after `overlap`.

    Args:
        expires_at: of the successor; None: never, which a key that expires itself cannot have for a successor.

    Returns: the old key. Raises NotFound, KeyIsOver.
    """
    old, now = find(session, key_id), clock.now()
    if end := known(old).end(now):
        raise KeyIsOver(f"Key {key_id} is {end}: make a new one with `keys create`.")
    if old.expires_at is not None and expires_at is None:
        raise KeyIsOver(f"Key {key_id} expires: say with --expires how many days the new one is to last.")
    stored(session, token, old.name, Scope(old.scope), expires_at)
    end_of_overlap = now + overlap
    old.expires_at = min(end_of_overlap, old.expires_at or end_of_overlap)
    return old


def find(session: Session, key_id: str) -> ApiKey:
    """Nobody else changes it until the end of the transaction. Raises NotFound."""
    one = session.get(ApiKey, key_id, with_for_update=True)
    if one is None:
        raise NotFound(f"There is no key {key_id}.")
    return one


def known(row: Any) -> Key:
    """row: with the columns that decide."""
    return Key(row.id, Scope(row.scope), row.digest, row.expires_at, row.revoked_at, row.name)
