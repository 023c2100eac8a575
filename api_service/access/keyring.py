"""The keys of the API, at hand."""

from collections.abc import Mapping

from sqlalchemy import Engine, select

from api_service.access import store
from api_service.web.key import Key, Token
from api_service.web.refusal import Refusal
from shared import clock
from shared.database.models import ApiKey

FRESH = 5.0
"""Seconds after which at the latest a revoked key opens nothing, and a new one does."""

_LOOK_AGAIN = 1.0  # seconds that must have passed before a key that is not known is looked for again


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
        """As `key.Keyring` says."""
        key = self._known(token.id, fresh)
        return Refusal.UNKNOWN if key is None else key.refusal(token, clock.now()) or key

    def named(self, key_id: str, fresh: float = FRESH) -> Key | Refusal:
        """As `key.Keyring` says."""
        key = self._known(key_id, fresh)
        return Refusal.UNKNOWN if key is None else key.end(clock.now()) or key

    def is_empty(self) -> bool:
        """Whether none opens anything."""
        now = clock.now()
        return all(key.end(now) for key in self._read().values())

    def _known(self, key_id: str, fresh: float) -> Key | None:
        read_at, keys = self._read_last
        age = clock.ticks() - read_at
        if age >= fresh or (key_id not in keys and age >= _LOOK_AGAIN):
            keys = self._read()
        return keys.get(key_id)

    def _read(self) -> Mapping[str, Key]:
        began = clock.ticks()
        columns = ApiKey.id, ApiKey.scope, ApiKey.digest, ApiKey.expires_at, ApiKey.revoked_at, ApiKey.name
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns)).all()
        keys = {row.id: store.known(row) for row in rows}
        self._read_last = began, keys
        return keys
