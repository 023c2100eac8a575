"""The keys of the API, in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api_service.web.key import Key, Scope, Token
from api_service.web.problems import Invalid, KeyIsOver, NotFound, Unauthorized
from shared import clock
from shared.database.models import ApiKey


def stored(
    session: Session,
    token: Token,
    name: str,
    scope: Scope,
    expires_at: datetime | None,
    *,
    made_by: str | None = None,
) -> bool:
    """False where a key of that id is stored already; it stays as it is. Raises Unauthorized, Invalid.

    made_by: the key with which it is made, which it does not outlive.
    """
    if made_by is not None:
        _check_maker(known(find(session, made_by)), expires_at)
    values = {"id": token.id, "name": name, "scope": scope, "digest": token.digest, "expires_at": expires_at}
    values["made_by"] = made_by
    rows = session.execute(insert(ApiKey).values(values).on_conflict_do_nothing().returning(ApiKey.id))
    return rows.first() is not None


def listed(session: Session) -> Sequence[ApiKey]:
    """All there ever were, the oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).all()


def listed_part(session: Session, after: str, limit: int, *, is_usable: bool) -> Sequence[ApiKey]:
    """The newest first, from behind the one of this id; empty: from the beginning. is_usable: those alone that open
    something."""
    query = select(ApiKey)
    if is_usable:
        query = query.where(*_usable())
    if after:
        made_at = select(ApiKey.created_at).where(ApiKey.id == after).scalar_subquery()
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) < tuple_(made_at, after))
    return session.scalars(query.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)).all()


def revoke(session: Session, key_id: str) -> ApiKey:
    """For good. Repeating it is harmless. Raises NotFound."""
    one = find(session, key_id)
    one.revoked_at = one.revoked_at or clock.now()
    return one


def made_with(session: Session, key_id: str) -> Sequence[ApiKey]:
    """Those that would end with this one: made with it, or with one that was, and so on."""
    ids = session.scalars(_MADE_WITH, {"id": key_id}).all()
    return session.scalars(select(ApiKey).where(ApiKey.id.in_(ids), *_usable()).order_by(ApiKey.created_at)).all()


def revoke_made_with(session: Session, key_id: str) -> Sequence[str]:
    """Ends those that were made with a key that is revoked; their ids.

    One of them may be making another at this moment, and holds its own row meanwhile (`stored`): it is looked again
    until there is none left.
    """
    session.flush()
    ended: list[str] = []
    while some := session.scalars(_REVOKE_MADE_WITH, {"id": key_id}).all():
        ended += some
    return ended


def rotate(session: Session, key_id: str, token: Token, overlap: timedelta, expires_at: datetime | None) -> ApiKey:
    """Stores a token as the successor of a key, with its name and scope; the key itself opens nothing after `overlap`.
    What was made with it goes over to the successor, and ends no later than that one.

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
    session.execute(_HAND_OVER, {"id": key_id, "successor": token.id, "expires_at": expires_at})
    return old


# The least of a moment and of none is the moment.
_HAND_OVER = text("""
    update api_keys set made_by = :successor, expires_at = least(expires_at, cast(:expires_at as timestamptz))
    where made_by = :id and revoked_at is null
""")


def find(session: Session, key_id: str, *, lock: bool = True) -> ApiKey:
    """lock: nobody else changes it until the end of the transaction. Raises NotFound."""
    one = session.get(ApiKey, key_id, with_for_update=lock or None)
    if one is None:
        raise NotFound(f"There is no key {key_id}.")
    return one


def _usable() -> Sequence[Any]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())


def _check_maker(maker: Key, expires_at: datetime | None) -> None:
    """Raises Unauthorized, Invalid."""
    if end := maker.end(clock.now()):
        raise Unauthorized(end)
    if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
        until = f"{maker.expires_at:%Y-%m-%d}"
        raise Invalid({"expires_at": [f"The key that makes it expires on {until}: it cannot last longer."]})


_MADE = """
    with recursive made as (
        select id from api_keys where made_by = :id
        union select k.id from api_keys k join made on k.made_by = made.id
    )
"""

_MADE_WITH = text(f"{_MADE} select id from made")

_REVOKE_MADE_WITH = text(f"""
    {_MADE}
    update api_keys set revoked_at = now() where id in (select id from made) and revoked_at is null returning id
""")


def known(row: Any) -> Key:
    """row: with the columns that decide."""
    return Key(row.id, Scope(row.scope), row.digest, row.expires_at, row.revoked_at, row.name)
