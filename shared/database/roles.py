"""The roles of a database, and how a connection takes its own.

They belong to one database, since roles are of a whole server and others may be on it: `notification_<database>_owner`,
`…_service`, `…_reader`. The database itself says which they are, by the owner of `messages`, so that a copy of it, or
what a backup of it was restored to, keeps them whatever it is called. Where nobody was allowed to make them
(`shared.database.grants`) every connection stays what its user is, and everything works.
"""

from enum import StrEnum
from typing import Any

from shared.database.question import ask


class Role(StrEnum):
    """What a connection may do."""

    OWNER = "owner"  # the schema is its own: for migrations, and for what sets ids ahead
    SERVICE = "service"  # reads and writes rows; of the schema it has `messages` and `attempts` with their parts
    READER = "reader"  # looks at everything but keys


def take(connection: Any, role: Role) -> bool:
    """Makes the role that of a session of psycopg2, where its user is a member of it. False, and nothing was done: a
    pooler stands before the server, and the session is anybody's.

    The server says at the start which of its processes a connection has; a pooler has to make that up. And the role is
    taken by a statement and not by an option of the start, which refuses a role that is not there.
    """
    is_own, _ = ask(connection, _TAKE, {"role": f"_{role}", "pid": connection.info.backend_pid})
    return bool(is_own)


def find(connection: Any, role: Role) -> str | None:
    """The name of the role that `take` would take; None: none. For whoever takes it in each transaction."""
    found = ask(connection, _FIND, {"role": f"_{role}"})
    return found[0] if found else None


NAMED = "^notification_.*_service$"
"""How the service's role is called. An owner of `messages` with another name is a user who does everything."""

MAY_TAKE = "case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end"
"""The privilege that `pg_has_role` is asked for: since version 16 a member may be one who cannot `set role`."""

_WANTED = f"""
    from pg_class messages
    join pg_roles service on service.oid = messages.relowner and service.rolname ~ '{NAMED}'
    join pg_roles wanted on wanted.rolname = regexp_replace(service.rolname, '_service$', %(role)s)
    where messages.oid = to_regclass('messages') and pg_has_role(session_user, wanted.oid, {MAY_TAKE})
"""

_TAKE = f"""
    select own.is_own, case when own.is_own then (select set_config('role', wanted.rolname, false) {_WANTED}) end
    from (select pg_backend_pid() = %(pid)s as is_own) own
"""
_FIND = f"select wanted.rolname {_WANTED}"
