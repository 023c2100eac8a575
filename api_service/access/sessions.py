"""Sessions of the console: who has signed in on it, with a key or at the identity provider, and until when.

A session is a random token in a cookie, of which the database has the digest, as with keys. One of a key opens what its
key opens, for as long as that key does: one that is revoked ends its sessions within seconds. One of a person opens
what their groups allowed when they last signed in anywhere, and not for long: then they sign in again, with the groups
that they have by then.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, text

from api_service.access import people
from api_service.access.keyring import Keyring
from api_service.access.oidc.identity import Identity
from api_service.web.key import Caller, Person, Scope, parsed
from api_service.web.refusal import Refusal
from api_service.web.visit import Visit
from shared.database.engine import one_statement

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LASTS = timedelta(hours=12)
OF_A_PERSON = timedelta(hours=1)


class Sessions:
    """As `web.visit.Sessions` says."""

    def __init__(self, engine: Engine, keyring: Keyring, issuer: str | None = None, *, with_keys: bool = True) -> None:
        """issuer: the identity provider that signs people in; None: there is none. with_keys: keys do."""
        self._engine, self._keyring = engine, keyring
        self._issuer, self._with_keys = issuer, with_keys

    def open(self, given: str) -> Visit | Refusal:
        if not self._with_keys:
            return Refusal.NO_KEY
        token = parsed(given)
        if token is None:
            return Refusal.MALFORMED
        key = self._keyring.find(token)
        if isinstance(key, Refusal):
            return key
        cookie = secrets.token_urlsafe(32)
        with one_statement(self._engine) as connection:
            connection.execute(_OPEN, _new(cookie, LASTS, key_id=key.id))
        return Visit(cookie, key, _form_token(cookie))

    def open_for(self, identity: Identity, scope: Scope | None, request_id: str | None) -> Visit | Refusal:
        """A new one, of somebody whom the identity provider knows. scope: what their groups allow; None: nothing, then
        there is none, and those that they have elsewhere end."""
        issuer = self._issuer or ""
        with self._engine.begin() as connection:
            if scope is None:
                people.turn_away(connection, issuer, identity.subject)
                return Refusal.NO_GROUP
            person = people.meet(
                connection, issuer, identity.subject, name=identity.name, scope=scope, request_id=request_id
            )
            cookie = secrets.token_urlsafe(32)
            sealed = _seal(cookie).encrypt(identity.id_token.encode())
            more = {"person_id": person.id, "authenticated_at": identity.authenticated_at, "id_token": sealed}
            connection.execute(_OPEN, _new(cookie, OF_A_PERSON, **more))
        return Visit(cookie, person, _form_token(cookie), identity.authenticated_at)

    def find(self, cookie: str) -> Visit | Refusal:
        with one_statement(self._engine) as connection:
            row = connection.execute(_FIND, {"digest": _digest(cookie), "issuer": self._issuer}).first()
        if row is None or not (self._with_keys if row.key_id else row.id):
            return Refusal.NO_SESSION
        found: Caller | Refusal
        found = self._keyring.named(row.key_id) if row.key_id else Person(row.id, Scope(row.scope), row.name)
        if isinstance(found, Refusal):
            return found
        return Visit(cookie, found, _form_token(cookie), row.authenticated_at)

    def close(self, cookie: str) -> str | None:
        with one_statement(self._engine) as connection:
            sealed = connection.execute(_CLOSE, {"digest": _digest(cookie)}).scalar()
        return _seal(cookie).decrypt(bytes(sealed)).decode() if sealed else None


def _new(cookie: str, lasts: timedelta, **more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("key_id", "person_id", "authenticated_at", "id_token"))
    return nothing | {"digest": _digest(cookie), "lasts": lasts} | more


def _digest(cookie: str) -> bytes:
    """A plain digest is enough for what is random."""
    return hashlib.sha256(cookie.encode()).digest()


def _form_token(cookie: str) -> str:
    """What a form of this session carries. Who sees it, in a page that was saved, does not have the session."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def _seal(cookie: str) -> "Fernet":
    """What a session keeps of somebody can be read with its token alone."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - for those alone who sign in at a provider

    return Fernet(base64.urlsafe_b64encode(hmac.new(cookie.encode(), b"id token", hashlib.sha256).digest()))


# Those that are over go with the next one that begins, a few at a time. Whoever gives a key proves who they are.
_OPEN = text("""
    with over as (
        delete from sessions where digest in (
            select digest from sessions where expires_at <= now() limit 100 for update skip locked
        )
    )
    insert into sessions (digest, key_id, person_id, expires_at, authenticated_at, id_token)
    values (:digest, :key_id, :person_id, now() + :lasts,
        case when cast(:key_id as text) is null then cast(:authenticated_at as timestamptz) else now() end, :id_token)
""")

_FIND = text("""
    select s.key_id, s.authenticated_at, p.id, p.name, p.scope
    from sessions s left join people p on p.id = s.person_id and p.issuer = :issuer
    where s.digest = :digest and s.expires_at > now()
""")

_CLOSE = text("delete from sessions where digest = :digest returning id_token")
