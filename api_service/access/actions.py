"""What can be done with keys over HTTP and on the command line: a function is a use case, and one transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from api_service.access import store
from api_service.web import key
from api_service.web.key import Scope, Token
from api_service.web.work import Work
from shared.database.models import ApiKey


def list_all(work: Work) -> Sequence[ApiKey]:
    """All there ever were, the oldest first."""
    with work.read() as session:
        return store.listed(session)


def list_part(work: Work, after: str, size: int, *, is_usable: bool) -> tuple[Sequence[ApiKey], str | None]:
    """The newest first, from behind the key of this id; and the id after which there is more. is_usable: those alone
    that open something."""
    with work.read() as session:
        found = store.listed_part(session, after, size + 1, is_usable=is_usable)
    return found[:size], found[size - 1].id if len(found) > size else None


def find(work: Work, key_id: str) -> tuple[ApiKey, Sequence[ApiKey]]:
    """A key, and those that would end with it. Raises NotFound."""
    with work.read() as session:
        return store.find(session, key_id, lock=False), store.made_with(session, key_id)


def adopt(
    work: Work,
    token: Token,
    name: str,
    scope: Scope,
    expires_at: datetime | None = None,
    *,
    made_by: str | None = None,
) -> bool:
    """Makes a token usable. False where a key of that id is known already; it stays as it is. Raises
    Unauthorized, Invalid.

    made_by: the key with which it is made, and with which it ends; None: on the command line, or no key is needed.
    """
    with work.act() as act:
        is_new = store.stored(act.session, token, name, scope, expires_at, made_by=made_by)
        if is_new:
            act.note("create", "key", token.id, after=_told(name, scope, expires_at))
    return is_new


def create(work: Work, name: str, scope: Scope, expires_at: datetime | None) -> Token:
    token = key.new()
    adopt(work, token, name, scope, expires_at)
    return token


def rotate(work: Work, key_id: str, overlap: timedelta, expires_at: datetime | None) -> tuple[Token, ApiKey]:
    """A key that takes the place of another one, and the other one. Raises NotFound, KeyIsOver."""
    token = key.new()
    with work.act() as act:
        old = store.rotate(act.session, key_id, token, overlap, expires_at)
        act.note("create", "key", token.id, after=_told(old.name, old.scope, expires_at) | {"instead_of": old.id})
        until = {"expires_at": old.expires_at and old.expires_at.isoformat()}
        act.note("change", "key", old.id, until.keys(), after=until)
    return token, old


def revoke(work: Work, key_id: str) -> ApiKey:
    """For good, with all that were made with it. Repeating it is harmless. Raises NotFound."""
    with work.act() as act:
        is_new = store.find(act.session, key_id).revoked_at is None
        one = store.revoke(act.session, key_id)
        for ended in [key_id] * is_new + [*store.revoke_made_with(act.session, key_id)]:
            act.note("revoke", "key", ended)
    return one


def _told(name: str, scope: str, expires_at: datetime | None) -> dict[str, str | None]:
    return {"name": name, "scope": str(scope), "expires_at": expires_at.isoformat() if expires_at else None}
