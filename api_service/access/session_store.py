"""Sessions of the console, as whoever runs the service sees them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class SignedIn(NamedTuple):
    """Somebody's session. id: the digest of its token, which opens nothing. key_id: of the key that they came with; a
    person whom the identity provider knows has none. by: as the audit names them. name: for people."""

    id: str
    key_id: str | None
    by: str
    name: str
    scope: str
    began_at: datetime
    ends_at: datetime


def listed(connection: Connection, after: str, limit: int) -> Sequence[SignedIn]:
    """Those that open something, the latest first, from behind the one of this id; empty: from the beginning."""
    rows = connection.execute(_LISTED, {"after": after, "limit": limit})
    return [SignedIn(*row) for row in rows]


def find(connection: Connection, session_id: str) -> SignedIn | None:
    row = connection.execute(_FIND, {"id": session_id}).one_or_none()
    return SignedIn(*row) if row else None


def delete(connection: Connection, session_id: str) -> None:
    connection.execute(_DELETE, {"id": session_id})


_OPEN = """
    select encode(s.digest, 'hex') as id, s.key_id, coalesce('key ' || k.id, 'person ' || p.id) as by,
           coalesce(k.name, p.name) as name, coalesce(k.scope, p.scope) as scope, s.created_at, s.expires_at
    from sessions s left join api_keys k on k.id = s.key_id left join people p on p.id = s.person_id
    where s.expires_at > now()
      and (p.id is not null
           or k.id is not null and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()))
"""

_LISTED = text(f"""
    {_OPEN} and (:after = '' or (s.created_at, s.digest) < (
        select created_at, digest from sessions where digest = decode(:after, 'hex')))
    order by s.created_at desc, s.digest desc limit :limit
""")

_FIND = text(f"{_OPEN} and s.digest = decode(:id, 'hex')")

_DELETE = text("delete from sessions where digest = decode(:id, 'hex')")
