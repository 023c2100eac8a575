"""The roles of a database: what each may do, who makes them, and that every process takes its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from notification_client import ApiClient
from sandbox import deployment
from sandbox.processes import Processes, free_port
from shared import clock, migrate
from shared.database import grants
from shared.database.engine import make_engine
from shared.database.roles import Role
from tests.support.superuser import superuser

ROOT = Path(__file__).parents[3]
STRANGE = 'Shop "Überall": 100%'
TOO_LONG = "d" * 63


@contextmanager
def connected(url: str, role: Role = Role.SERVICE) -> Iterator[Engine]:
    engine = make_engine(url, "role", role=role, pool_size=1)
    yield engine
    engine.dispose()


def answer(url: str, role: Role, statement: str) -> str:
    """The first value that a statement gives to a role, which changes nothing; or why it gives none."""
    with connected(url, role) as engine, engine.connect() as connection:
        try:
            rows = connection.execute(text(statement))
            return str(rows.scalar()) if rows.returns_rows else "done"
        except ProgrammingError as error:
            return str(error.orig).partition("\n")[0]


# ---------------------------------------------------------------- what each may do


@pytest.mark.parametrize("role", Role)
def test_a_connection_has_its_role(books_url: str, role: Role) -> None:
    assert answer(books_url, role, "select current_user").endswith(f"_{role}")


READ = "select count(*) from clients"
WRITE = "insert into tallies values (1, now(), 0, 'sent', 1)"


@pytest.mark.parametrize(
    ("role", "statement", "said"),
    [
        (Role.SERVICE, READ, "0"),
        (Role.SERVICE, WRITE, "done"),
        (Role.SERVICE, "select nextval('claims')", "1"),
        (Role.SERVICE, "select setval('claims', 1)", "permission denied for sequence claims"),
        (Role.SERVICE, "create table public.mine ()", "permission denied for schema public"),
        (Role.SERVICE, "create table mine ()", "done"),  # in its own schema: the parts
        (Role.SERVICE, "alter table clients add mine int", "must be owner of table clients"),
        (Role.SERVICE, "drop table clients", "must be owner of table clients"),
        (Role.SERVICE, "truncate clients", "permission denied for table clients"),
        (Role.SERVICE, "alter type message_state add value 'mine'", "must be owner of type message_state"),
        (Role.SERVICE, "update alembic_version set version_num = ''", "permission denied for table alembic_version"),
        (Role.SERVICE, "delete from reports", "permission denied for table reports"),
        (Role.SERVICE, "update reports set day = day", "permission denied for table reports"),
        (Role.SERVICE, "insert into reports values ('2026-01-31')", "done"),
        (Role.SERVICE, "delete from audit", "permission denied for table audit"),
        (Role.SERVICE, "update audit set at = now()", "permission denied for table audit"),
        (Role.READER, READ, "0"),
        (Role.READER, WRITE, "permission denied for table tallies"),
        (Role.READER, "select count(*) from messages", "0"),
        (Role.READER, "select count(*) from api_keys", "permission denied for table api_keys"),
        (Role.READER, "select nextval('claims')", "permission denied for sequence claims"),
        (Role.READER, "create table mine ()", "permission denied for schema public"),
        (Role.OWNER, "alter table clients add mine int", "done"),
        (Role.OWNER, "alter table messages add mine int", "done"),
        (Role.OWNER, "create index on messages (client_id)", "done"),
        (Role.OWNER, "create role mine", "permission denied to create role"),
    ],
)
def test_a_role_may_do_what_it_has_to_and_no_more(books_url: str, role: Role, statement: str, said: str) -> None:
    assert answer(books_url, role, statement) == said


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("reports", "delete from reports"),
        ("reports", "update reports set day = day"),
        ("reports", "truncate reports"),
        ("audit", "delete from audit"),
        ("audit", "update audit set at = now()"),
        ("audit", "truncate audit"),
    ],
)
def test_what_takes_new_rows_only_is_changed_by_nobody(books_engine: Engine, table: str, statement: str) -> None:
    said = f"The rows of {table} are never changed"
    with pytest.raises(IntegrityError, match=said), superuser(books_engine) as connection:
        connection.execute(text(statement))


# ---------------------------------------------------------------- who makes them


@pytest.fixture
def user(postgres: str) -> Iterator[str]:
    """A name for a user of the server, who is gone at the end with all that was theirs."""
    name = f"user_{os.getpid()}"
    with connected(postgres) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        yield name
        for database in admin.scalars(text(_DATABASES_OF), {"name": name}).all():
            admin.exec_driver_sql(f"drop database {database} with (force)".replace("%", "%%"))
        roles = admin.scalars(text(_ROLES_OF), {"name": name}).all()
        for role in [*roles, name]:
            admin.exec_driver_sql(f"drop role if exists {role}".replace("%", "%%"))


_DATABASES_OF = (
    "select quote_ident(datname) from pg_database where datdba = (select oid from pg_roles where rolname = :name)"
)
_ROLES_OF = """
    select quote_ident(role.rolname) from pg_auth_members join pg_roles role on role.oid = roleid
    join pg_roles member on member.oid = member where member.rolname = :name
"""


def make_database(postgres: str, user: str, rights: str, name: str) -> str:
    """The URL of an empty database of a new user with these rights, as that user."""
    with connected(postgres) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.exec_driver_sql(f"create role {user} login {rights}")
        quoted = admin.scalar(text("select quote_ident(:name)"), {"name": name}).replace("%", "%%")
        admin.exec_driver_sql(f"create database {quoted} template template0 owner {user}")
    return make_url(postgres).set(database=name, username=user).render_as_string(hide_password=False)


def administrators(url: str) -> str:
    """The URL of the same database for a superuser."""
    return make_url(url).set(username="postgres").render_as_string(hide_password=False)


def foreign(url: str) -> list[str]:
    """What of the schema is not whose it should be, as a superuser sees it."""
    with connected(administrators(url)) as engine, superuser(engine) as connection:
        return list(connection.scalars(text(_FOREIGN)))


# Everything but indexes, and sequences that belong to a column.
_FOREIGN = """
    select thing || ' of ' || owner::regrole from (
        select relname as thing, relowner as owner from pg_class c
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'S', 'v', 'm')
        union all
        select typname, typowner from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e'
        union all
        select proname, proowner from pg_proc where pronamespace = 'public'::regnamespace
    ) things
    where (owner::regrole::text ~ 'notification_.*_service"?$')
          <> (thing ~ '^(messages|attempts|receipts|message_references)')
       or owner::regrole::text !~ 'notification_.*_(owner|service)"?$'
"""


def test_each_thing_of_the_schema_has_its_owner(books_url: str) -> None:
    assert foreign(books_url) == []


def test_who_may_make_no_roles_does_everything_alone_until_somebody_may(postgres: str, user: str) -> None:
    url = make_database(postgres, user, "nocreaterole", f"alone_{os.getpid()}")
    said = migrated(url)
    assert said == (
        "The schema is up to date.\nThere are no roles, since the user of DATABASE_URL may not make them"
        " (permission denied to create role): all processes have that user's rights.\n"
    )
    for role in Role:
        assert answer(url, role, "select current_user") == user
    assert answer(url, Role.SERVICE, WRITE) == "done"
    administrator = administrators(url)
    assert migrated(administrator) == "The schema is up to date.\n"
    assert foreign(url) == []
    with connected(administrator) as engine, superuser(engine) as connection:
        for role in Role:
            connection.exec_driver_sql(f"grant notification_alone_{os.getpid()}_{role} to {user}")
    assert answer(url, Role.SERVICE, "select current_user") == f"notification_alone_{os.getpid()}_service"
    assert migrated(url) == "The schema is up to date.\n"


@pytest.mark.parametrize("name", ["made", STRANGE, TOO_LONG])
def test_who_may_make_roles_and_is_no_superuser_makes_them(postgres: str, user: str, name: str) -> None:
    url = make_database(postgres, user, "createrole", name)
    assert migrate.upgrade(url) is None
    assert foreign(url) == []
    for role in Role:
        assert answer(url, role, "select current_user").endswith(f"_{role}")
    assert migrate.upgrade(url) is None, "once more, as the owner"


def test_roles_that_an_administrator_made_by_hand_are_used(postgres: str, user: str) -> None:
    """As docs/security.md says."""
    name = f"by_hand_{os.getpid()}"
    url = make_database(postgres, user, "nocreaterole", name)
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    _, _, example = page.partition("```sql\n")
    statements = example.partition("```")[0].replace("notify", name).replace("migrator", user)
    with connected(postgres) as engine, superuser(engine) as connection:
        connection.exec_driver_sql(statements)
    assert migrate.upgrade(url) is None
    assert foreign(url) == []


def test_once_all_is_settled_nothing_is_changed_any_more(database_url: str, engine: Engine) -> None:
    with engine.connect() as connection:
        assert grants.settle(connection) is None
        before = connection.scalar(text("select pg_current_wal_insert_lsn()"))
        connection.rollback()
        assert grants.settle(connection) is None
        assert connection.scalar(text("select pg_current_wal_insert_lsn()")) == before


@pytest.mark.parametrize(
    ("granted", "role", "statement", "said"),
    [
        ("truncate on clients", Role.SERVICE, "truncate clients", "table clients"),
        ("delete on alembic_version", Role.SERVICE, "delete from alembic_version", "table alembic_version"),
        ("select on api_keys", Role.READER, "select from api_keys", "table api_keys"),
        ("insert on messages", Role.READER, "insert into messages default values", "table messages"),
        ("update on sequence claims", Role.SERVICE, "select setval('claims', 1)", "sequence claims"),
    ],
)
def test_what_an_older_version_granted_is_taken_back(
    database_url: str, engine: Engine, granted: str, role: Role, statement: str, said: str
) -> None:
    name = answer(database_url, role, "select current_user")
    with superuser(engine) as connection:
        connection.exec_driver_sql(f"grant {granted} to {name}")
    said = f"permission denied for {said}"
    assert answer(database_url, role, statement) != said
    migrate.upgrade(database_url)
    assert answer(database_url, role, statement) == said
    assert answer(database_url, role, READ) == "0"


def test_the_roles_of_one_database_may_do_nothing_in_another(postgres: str, user: str, database_url: str) -> None:
    own = make_database(postgres, user, "createrole", f"own_{os.getpid()}")
    migrate.upgrade(own)
    other = make_url(database_url).set(username=user).render_as_string(hide_password=False)
    for role in Role:
        assert answer(other, role, "select current_user") == user
        assert answer(other, role, READ) == "permission denied for table clients"


def test_what_others_have_in_the_same_schema_is_left_alone(postgres: str, user: str) -> None:
    url = make_database(postgres, user, "createrole", f"shared_{os.getpid()}")
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text("create table theirs (id serial)"))
    migrate.upgrade(url)
    assert foreign(url) == [f"theirs of {user}", f"theirs_id_seq of {user}"]
    assert answer(url, Role.SERVICE, "select * from theirs") == "permission denied for table theirs"


def test_services_that_were_given_passwords_may_log_in(database_url: str, postgres: str, tmp_path: Path) -> None:
    """Of the containers. With the same file again, and with another one, nothing but the password changes."""
    name, file = f"login_{os.getpid()}", tmp_path / "logins"
    as_service = make_url(database_url).set(username=name).render_as_string(hide_password=False)
    digests = set()
    with connected(postgres) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        for password in ("one", "one", "other"):
            file.write_text(f"{name} {password}\n\n")
            command(database_url, "deploy.logins", str(file))
            digests.add(admin.scalar(text("select rolpassword from pg_authid where rolname = :name"), {"name": name}))
            assert answer(as_service, Role.SERVICE, "select current_user").endswith("_service")
            assert answer(as_service, Role.OWNER, "select current_user") == name
            assert answer(as_service, Role.SERVICE, READ) == "0"
            assert answer(as_service, Role.OWNER, "drop table clients") == "must be owner of table clients"
        admin.exec_driver_sql(f"drop role {name}")
    assert all(digest.startswith("SCRAM-SHA-256$") for digest in digests)


def test_behind_a_pooler_the_server_gives_the_role(postgres: str, user: str) -> None:
    """As docs/security.md says: there a session is anybody's, and nothing can be set at its start."""
    url = make_database(postgres, user, "createrole", f"pooled_{os.getpid()}")
    migrate.upgrade(url)
    with connected(administrators(url)) as engine, superuser(engine) as connection:
        connection.exec_driver_sql(
            f"alter role {user} in database pooled_{os.getpid()} set role = notification_pooled_{os.getpid()}_service"
        )
    with closing(psycopg2.connect(url)) as bare, bare.cursor() as cursor:
        cursor.execute("select current_user")
        assert cursor.fetchone() == (f"notification_pooled_{os.getpid()}_service",)


# ---------------------------------------------------------------- every process


def test_every_process_takes_its_role(postgres: str, user: str) -> None:
    """Of a user who has no rights but to take them: whatever connected without one could not even read."""
    url = make_database(postgres, user, "createrole", f"takes_{os.getpid()}")
    migrate.upgrade(url)
    with connected(administrators(url)) as engine, superuser(engine) as connection:
        for role in connection.scalars(text(_ROLES_OF), {"name": user}).all():
            connection.exec_driver_sql(f"revoke {role} from {user} cascade; grant {role} to {user} with inherit false")
    with Processes() as processes:
        simulator = deployment.start_simulator(processes)
        env = {"DATABASE_URL": url, "PROVIDER_URL": simulator.url, "API_PORT": str(free_port())}
        deployment.migrate(processes, env)
        api = deployment.start_api(processes, env)
        deployment.start_dispatcher(processes, env)
        deployment.start_reporter(processes, env)
        with ApiClient(api) as client:
            client.create_client("79123456789")
            now = clock.now()
            mailing_id = client.create_mailing("Hello", now, now + timedelta(hours=1))["id"]
            while client.mailing(mailing_id)["state"] != "finished":
                assert clock.now() < now + timedelta(seconds=30)
        assert len(simulator.accepted()) == 1
        for module, *arguments in (
            ["shared.ledger", "repair"],
            ["shared.ledger", "repair", "--dry-run"],
            ["shared.recover"],
            ["dispatcher_service.reporter", "--print"],
            ["api_service", "keys", "list"],
        ):
            command(url, module, *arguments)


def migrated(url: str) -> str:
    """What `python -m shared.migrate` says."""
    return command(url, "shared.migrate")


def command(url: str, module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "DATABASE_URL": url},
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
