"""Sessions of the console: who has signed in on it with a key, and until when.

A session is a random token in a cookie, of which the database has the digest, as with keys. It opens what its key
opens, for as long as that key does: one that is revoked ends its sessions within seconds.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import Engine, text

from api_service.access.keyring import Keyring
from api_service.web.key import Key, parsed
from api_service.web.refusal import Refusal
from api_service.web.visit import Visit
from shared.database.engine import one_statement

LASTS = timedelta(hours=12)


class Sessions:
    """As `web.visit.Sessions` says."""

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        self._engine, self._keyring = engine, keyring

    def open(self, given: str) -> Visit | Refusal:
        token = parsed(given)
        if token is None:
            return Refusal.MALFORMED
        key = self._keyring.find(token)
        if isinstance(key, Refusal):
            return key
        cookie = secrets.token_urlsafe(32)
        with one_statement(self._engine) as connection:
            connection.execute(_OPEN, {"digest": _digest(cookie), "key_id": key.id, "lasts": LASTS})
        return Visit(cookie, key, _form_token(cookie))

    def find(self, cookie: str) -> Visit | Refusal:
        with one_statement(self._engine) as connection:
            key_id = connection.execute(_FIND, {"digest": _digest(cookie)}).scalar()
        if key_id is None:
            return Refusal.NO_SESSION
        key = self._keyring.named(key_id)
        return Visit(cookie, key, _form_token(cookie)) if isinstance(key, Key) else key

    def close(self, cookie: str) -> None:
        with one_statement(self._engine) as connection:
            connection.execute(_CLOSE, {"digest": _digest(cookie)})


def _digest(cookie: str) -> bytes:
    """A plain digest is enough for what is random."""
    return hashlib.sha256(cookie.encode()).digest()


def _form_token(cookie: str) -> str:
    """What a form of this session carries. Who sees it, in a page that was saved, does not have the session."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


# Those that are over go with the next one that begins, a few at a time.
_OPEN = text("""
    with over as (
        delete from sessions where digest in (
            select digest from sessions where expires_at <= now() limit 100 for update skip locked
        )
    )
    insert into sessions (digest, key_id, expires_at) values (:digest, :key_id, now() + :lasts)
""")

_FIND = text("select key_id from sessions where digest = :digest and expires_at > now()")

_CLOSE = text("delete from sessions where digest = :digest")
