"""Who owns what, and who may do what: roles are made, and tables handed to them, after every migration.

It is no migration of its own, because a user who may not make roles today may be allowed to tomorrow, and because it
holds for every table that a later version adds.
"""

from psycopg2 import errorcodes
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from shared.database.models import Base
from shared.database.roles import MAY_TAKE, NAMED, Role

OWNED_BY_SERVICE = ("messages", "attempts", "receipts", "message_references")
"""Only the owner of a table may detach its parts."""

APPEND_ONLY = ("audit", "reports")
"""The service adds rows and changes none; a trigger stops everybody else as well."""

KEPT_BY_MIGRATIONS = ("alembic_version",)
HIDDEN_FROM_READERS = ("api_keys", "people", "sessions")

SEQUENCES = ("message_ids", "claims", "broker_sessions")
"""Those that belong to no column. The service takes numbers from them, and can set none of them back."""


def settle(connection: Connection) -> str | None:
    """Makes what is missing of roles, owners and grants, and takes back what is too much; nothing where all is right.

    In one transaction, that of the caller if there is one, with all the rights of the user who is connected, under the
    lock of the migrations. Returns why there are no roles, where that user may not make them; then nothing was changed.
    """
    try:
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            connection.execute(text("set local role none"))
            place = connection.execute(_PLACE).one()
            connection.execute(text("set local search_path = pg_catalog"))  # so that nobody else's functions are called
            for find in (_ROLES, _MEMBERS, _SCHEMAS, _OWNERS, _GRANTS, _TOO_MUCH, _NO_MORE):
                for statement in connection.scalars(text(f"{_NAMES} {find}"), {**_LISTS, **place._mapping}).all():
                    connection.execute(text(statement.replace(":", r"\:")))
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != errorcodes.INSUFFICIENT_PRIVILEGE:
            raise
        return str(error.orig).partition("\n")[0]
    return None


_LISTS = {
    "named": NAMED,
    "roles": [str(role) for role in Role],
    "tables": [*Base.metadata.tables, *KEPT_BY_MIGRATIONS],
    "of_service": list(OWNED_BY_SERVICE),
    "append_only": list(APPEND_ONLY),
    "of_migrations": list(KEPT_BY_MIGRATIONS),
    "hidden": list(HIDDEN_FROM_READERS),
    "sequences": list(SEQUENCES),
}

_PLACE = text("select relnamespace as place from pg_class where oid = to_regclass('alembic_version')")

# The names of the roles, those of the owner of `messages` if it has such a name; and what there is of ours, each with
# whose it is to be. A name has 63 bytes at the most.
_NAMES = """
    with recursive prefix as (
        select coalesce(
            (select regexp_replace(r.rolname, 'service$', '') from pg_class c join pg_roles r on r.oid = c.relowner
             where c.relnamespace = :place and c.relname = 'messages' and r.rolname ~ :named),
            'notification_' || case when octet_length(current_database()) <= 42 then current_database()
                else md5(current_database()) end || '_'
        ) as prefix
    ), names as (
        select prefix || 'owner' as owner, prefix || 'service' as service, prefix || 'reader' as reader from prefix
    ), tables as (
        select oid, relname, oid as root, relname = any(:of_service) as of_service from pg_class
        where relnamespace = :place and relname = any(:tables) and relkind in ('r', 'p')
        union all
        select part.oid, part.relname, root, of_service
        from tables join pg_inherits on inhparent = tables.oid join pg_class part on part.oid = inhrelid
    ), sequences as (
        select oid, relname from pg_class
        where relnamespace = :place and relname = any(:sequences) and relkind = 'S'
    ), things as (
        select 'table' as kind, oid::regclass::text as name, relowner as has,
            case when of_service then service else owner end as wants
        from tables join pg_class using (oid), names
        union all
        select 'sequence', oid::regclass::text, relowner, owner from sequences join pg_class using (oid), names
        union all
        select distinct 'type', typ.oid::regtype::text, typowner, owner
        from tables join pg_attribute on attrelid = tables.oid join pg_type typ on typ.oid = atttypid, names
        where typtype = 'e'
        union all
        select distinct 'function', proc.oid::regprocedure::text, proowner, owner
        from tables join pg_trigger on tgrelid = tables.oid join pg_proc proc on proc.oid = tgfoid, names
        where not tgisinternal and pronamespace = :place
    )
"""

_ROLES = """
    select format('create role %I nologin', prefix || role) from prefix, unnest(cast(:roles as text[])) role
    where not exists (select from pg_roles where rolname = prefix || role)
"""

# The owner may change what is the service's. Who migrates may be all of them, as one URL may be that of all processes.
_MEMBERS = f"""
    select format('grant %I to %I', role, member)
    from names cross join lateral (
        values (service, owner), (owner, session_user), (service, session_user), (reader, session_user)
    ) wanted (role, member)
    where not pg_has_role(member, role, {MAY_TAKE})
"""

# The service makes parts in a schema that bears its name and is the first that it looks into. In that of the tables it
# makes nothing, where others would take it for ours; to become the owner of some it has to be allowed for a moment.
_SCHEMAS = """
    select format('grant usage on schema %s to %I', cast(:place as regnamespace), role)
    from names, unnest(array[owner, service, reader]) role
    where not has_schema_privilege(role, cast(:place as oid), 'usage')
    union all
    select format('grant create on schema %s to %I', cast(:place as regnamespace), role)
    from names, unnest(array[owner, service]) role
    where not has_schema_privilege(role, cast(:place as oid), 'create')
      and (role = owner or exists (select from things where wants = service and has <> quote_ident(service)::regrole))
    union all
    select format('create schema authorization %I', service) from names
    where not exists (select from pg_namespace where nspname = service)
"""

_OWNERS = (
    "select format('alter %s %s owner to %I', kind, name, wants) from things where has <> quote_ident(wants)::regrole"
)

# What each role is to have. A part is asked for what its table may.
_WANTED = """
    select 'table' as kind, oid, oid::regclass::text as name, role, privilege
    from tables cross join names cross join lateral (
        select service as role, privilege from unnest(case
            when relname = any(:of_migrations) then array['select']
            when relname = any(:append_only) then array['select', 'insert']
            else array['select', 'insert', 'update', 'delete'] end) privilege
        union all
        select reader, 'select' where not relname = any(:hidden)
    ) wanted
    where oid = root
    union all
    select 'sequence', oid, oid::regclass::text, service, privilege
    from sequences cross join names cross join unnest(array['usage', 'select']) privilege
"""

_GRANTS = f"""
    select format('grant %s on %s %s to %I', privilege, kind, name, role) from ({_WANTED}) wanted
    where not case kind when 'table' then has_table_privilege(role, oid, privilege)
        else has_sequence_privilege(role, oid, privilege) end
"""

# What an older version gave them, or somebody by hand. An owner has everything, and what others have is theirs.
_TOO_MUCH = f"""
    select format('revoke %s on %s %s from %I', held.privilege_type, ours.kind, ours.oid::regclass, rolname)
    from (select 'table' as kind, oid from tables union all select 'sequence', oid from sequences) ours
    join pg_class on pg_class.oid = ours.oid cross join aclexplode(relacl) held
    join pg_roles on pg_roles.oid = held.grantee join names on rolname in (service, reader)
    left join ({_WANTED}) wanted
        on wanted.oid = ours.oid and role = rolname and privilege = lower(held.privilege_type)
    where held.grantee <> relowner and wanted.oid is null
"""

_NO_MORE = """
    select format('revoke create on schema %s from %I', cast(:place as regnamespace), service)
    from names join pg_roles on rolname = service cross join pg_namespace n, aclexplode(n.nspacl) held
    where n.oid = :place and held.grantee = pg_roles.oid and held.privilege_type = 'CREATE'
"""
