"""The keys of the API, in the database and at hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api_service.errors import Conflict, NotFound
from api_service.key import Key, Scope, Token
from api_service.refusal import Refusal
from shared import clock
from shared.database.models import ApiKey

FRESH = 5.0
"""Seconds after which at the latest a revoked key opens nothing, and a new one does."""

_LOOK_AGAIN = 1.0  # seconds that must have passed before a key that is not known is looked for again


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
    one = _locked(session, key_id)
    one.revoked_at = one.revoked_at or clock.now()
    return one


def rotate(session: Session, key_id: str, token: Token, overlap: timedelta, expires_at: datetime | None) -> ApiKey:
    """Stores a token as the successor of a key, with its name and scope; the key itself opens nothing after `overlap`.

    Args:
        expires_at: of the successor; None: never, which a key that expires itself cannot have for a successor.

    Returns: the old key. Raises NotFound, Conflict.
    """
    old, now = _locked(session, key_id), clock.now()
    if end := _known(old).end(now):
        raise Conflict(f"Key {key_id} is {end}: make a new one with `keys create`.")
    if old.expires_at is not None and expires_at is None:
        raise Conflict(f"Key {key_id} expires: say with --expires how many days the new one is to last.")
    stored(session, token, old.name, Scope(old.scope), expires_at)
    end_of_overlap = now + overlap
    old.expires_at = min(end_of_overlap, old.expires_at or end_of_overlap)
    return old


def _locked(session: Session, key_id: str) -> ApiKey:
    one = session.get(ApiKey, key_id, with_for_update=True)
    if one is None:
        raise NotFound(f"There is no key {key_id}.")
    return one


def _known(row: Any) -> Key:
    return Key(row.id, Scope(row.scope), row.digest, row.expires_at, row.revoked_at)


class Keyring:
    """All keys, read as a whole every few seconds rather than one by one: also those that open nothing any more, since
    the log says what became of them.

    So a request costs no question to the database, and neither does a key that somebody makes up. Every process has its
    own. Threads that find it stale at the same moment each read it: none waits for another that the database keeps
    waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read_last: tuple[float, Mapping[str, Key]] = -FRESH, {}  # when, and what

    def find(self, token: Token, fresh: float = FRESH) -> Key | Refusal:
        """The key that this token is, or why it opens nothing. Raises SQLAlchemyError: without the database nobody can
        say.

        fresh: how many seconds ago the keys may have been read.
        """
        read_at, keys = self._read_last
        age = clock.ticks() - read_at
        if age >= fresh or (token.id not in keys and age >= _LOOK_AGAIN):
            keys = self._read()
        key = keys.get(token.id)
        if key is None:
            return Refusal.UNKNOWN
        return key.refusal(token, clock.now()) or key

    def is_empty(self) -> bool:
        """Whether none opens anything."""
        now = clock.now()
        return all(key.end(now) for key in self._read().values())

    def _read(self) -> Mapping[str, Key]:
        began = clock.ticks()
        columns = ApiKey.id, ApiKey.scope, ApiKey.digest, ApiKey.expires_at, ApiKey.revoked_at
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns)).all()
        keys = {row.id: _known(row) for row in rows}
        self._read_last = began, keys
        return keys
