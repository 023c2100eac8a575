"""The keys of the API, in the database and at hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api_service.errors import NotFound
from api_service.key import Key, Scope, Token
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


def revoke(session: Session, key_id: str) -> None:
    """For good. Repeating it is harmless. Raises NotFound."""
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound(f"There is no key {key_id}.")
    key.revoked_at = key.revoked_at or clock.now()


class Keyring:
    """The keys that can be used, read as a whole every few seconds rather than one by one.

    So a request costs no question to the database, and neither does a key that somebody makes up. Every process has its
    own. Threads that find it stale at the same moment each read it: none waits for another that the database keeps
    waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read_last: tuple[float, Mapping[str, Key]] = -FRESH, {}  # when, and what

    def find(self, token: Token) -> Key | None:
        """The key that this token is. Raises SQLAlchemyError: without the database nobody can say."""
        read_at, keys = self._read_last
        age = clock.ticks() - read_at
        if age >= FRESH or (token.id not in keys and age >= _LOOK_AGAIN):
            keys = self._read()
        key = keys.get(token.id)
        return key if key is not None and key.opens(token, clock.now()) else None

    def is_empty(self) -> bool:
        return not self._read()

    def _read(self) -> Mapping[str, Key]:
        began = clock.ticks()
        usable = ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
        columns = ApiKey.id, ApiKey.scope, ApiKey.digest, ApiKey.expires_at
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).where(*usable)).all()
        keys = {row.id: Key(row.id, Scope(row.scope), row.digest, row.expires_at) for row in rows}
        self._read_last = began, keys
        return keys
