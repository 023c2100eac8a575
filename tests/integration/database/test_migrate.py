"""`python -m shared.migrate`: at the same time, broken off, and what it says when it cannot."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, make_url, text

from shared import migrate
from shared.database import schema
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty_url(database_url: str, engine: Engine) -> str:
    """The URL of a database without a schema."""
    with superuser(engine) as connection:
        connection.execute(
            text("drop schema public cascade; create schema public; grant usage on schema public to public")
        )
    return database_url


def test_many_may_make_the_schema_at_the_same_time(empty_url: str) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(empty_url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors


def test_who_waits_for_the_schema_goes_on_when_it_is_there(empty_url: str) -> None:
    """As what is rolled out with a new version does, beside the job that migrates."""
    command_line = [sys.executable, "-m", "shared.migrate", "--wait"]
    env = {**os.environ, "DATABASE_URL": empty_url}
    with subprocess.Popen(command_line, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout
        assert "Waiting for the schema" in waiting.stdout.readline()
        assert waiting.poll() is None
        migrate.upgrade(empty_url)
        assert waiting.wait(60) == 0


def test_an_index_whose_making_was_broken_off_is_made_anew(database_url: str, engine: Engine) -> None:
    """What is made beside the traffic is no part of a transaction: it is there, and nobody may use it."""
    config = Config()
    config.set_main_option("script_location", "shared.database:migrations")
    before = ScriptDirectory.from_config(config).get_revision("0007").down_revision
    with engine.connect() as connection:
        connection.execute(text("set role none"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
        connection.execute(
            text("update pg_index set indisvalid = false where indexrelid = 'messages_rare_idx'::regclass")
        )
        connection.execute(text("update alembic_version set version_num = :before"), {"before": before})
        connection.commit()
    migrate.upgrade(database_url)
    with engine.begin() as connection:
        assert connection.scalar(text("select bool_and(indisvalid) from pg_index"))


@pytest.mark.parametrize(
    ("change", "enough"),
    [
        ("select 1", True),
        ("update alembic_version set version_num = '9999'", True),
        ("update alembic_version set version_num = '0001'", False),
        ("delete from alembic_version", False),
        ("drop table alembic_version", False),
    ],
)
def test_a_process_knows_whether_the_schema_is_new_enough(engine: Engine, change: str, enough: bool) -> None:
    with superuser(engine) as connection:
        connection.execute(text(change))
    assert schema.is_up_to_date(engine) is enough


HELD = 4712
"""An advisory lock that the test has: whoever grants something waits for it."""

_HOLD = f"""
    create function public.hold() returns event_trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock({HELD}); end $$;
    create event trigger hold on ddl_command_start when tag in ('GRANT') execute function public.hold()
"""
_WAITS = f"select pid from pg_locks where locktype = 'advisory' and objid = {HELD} and not granted"


def test_no_process_finds_a_schema_that_it_may_not_use(empty_url: str, engine: Engine) -> None:
    """Killed after the last table was made, and before the first of them was granted to anybody."""
    with superuser(engine) as connection:
        connection.execute(text(_HOLD))
    with engine.connect() as wall:
        wall.execute(text(f"select pg_advisory_lock({HELD})"))
        wall.commit()
        killed = subprocess.Popen(
            [sys.executable, "-m", "shared.migrate"], env={**os.environ, "DATABASE_URL": empty_url}, cwd=ROOT
        )
        wait_until(lambda: wall.scalar(text(_WAITS)), 60)
        killed.kill()
        killed.wait()
        with superuser(engine) as connection:
            connection.execute(text(f"select pg_terminate_backend(pid) from ({_WAITS}) waits"))
    assert not schema.is_up_to_date(engine)
    with superuser(engine) as connection:
        connection.execute(text("drop event trigger hold; drop function public.hold()"))
    migrate.upgrade(empty_url)
    engine.dispose()  # its connections take their roles anew
    assert schema.is_up_to_date(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("select current_user")).endswith("_service")
        assert connection.scalar(text("select count(*) from clients")) == 0


# ---------------------------------------------------------------- what the command says when it cannot


@pytest.fixture
def stranger_url(empty_url: str, engine: Engine) -> Iterator[str]:
    """The same database, as a role that may do nothing in it."""
    with superuser(engine) as connection:
        connection.execute(text("create role stranger login"))
    yield make_url(empty_url).set(username="stranger").render_as_string(hide_password=False)
    with superuser(engine) as connection:
        connection.execute(text("drop owned by stranger; drop role stranger"))


def test_a_role_that_may_not_create_tables_is_told_what_it_needs(stranger_url: str) -> None:
    assert said(stranger_url) == (
        "The schema could not be brought up to date: permission denied for schema public. The role of DATABASE_URL has"
        " to own the tables that are there, and may have to be allowed to create others:"
        " `grant create on schema public to …`.\n"
    )


def test_a_database_that_is_newer_is_told_apart(database_url: str, engine: Engine) -> None:
    with superuser(engine) as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    assert said(database_url).startswith("The schema of this database was made by another version of the service: ")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:hunt@er2@127.0.0.1:1/notify", "DATABASE_URL must have one @; in a name or password @ is"),
        ("postgresql://user:hunter2/@127.0.0.1:1/notify", "DATABASE_URL must be a URL of the form postgresql://…"),
        ("postgresql://user:hunt%40er2@127.0.0.1:1/notify", "The schema could not be brought up to date: "),
    ],
)
def test_a_url_that_leads_nowhere_costs_one_line(url: str, words: str) -> None:
    line = said(url)
    assert line.startswith(words)
    assert "er2" not in line
    assert line.count("\n") == 1


def said(url: str) -> str:
    """What `python -m shared.migrate` says when it fails."""
    process = subprocess.run(
        [sys.executable, "-m", "shared.migrate"],
        env={**os.environ, "DATABASE_URL": url},
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout) == (1, "")
    return process.stderr
