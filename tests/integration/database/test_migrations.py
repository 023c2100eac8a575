"""The schema that the migrations make is the one that the models describe."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from shared.database.models import Base
from shared.domain.message import MessageState
from shared.ledger.figures import count_mailings, read_figures, read_totals
from shared.migrate import upgrade
from tests.support.superuser import superuser


def test_migrations_and_models_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        parts = set(connection.scalars(text("select relname from pg_class where relispartition")))
        of_models = {"include_name": lambda name, kind, _: kind != "table" or name not in parts}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **of_models})
        assert compare_metadata(context, Base.metadata) == []


def test_indexes_constraints_and_states_are_those_of_the_models(engine: Engine) -> None:
    """To the letter, with their conditions, which the comparison above does not look at. `queued` is a name that the
    type has since older versions: PostgreSQL takes none away."""
    with superuser(engine) as connection:
        made = _definitions(connection, "public")
        connection.execute(text("create schema described"))
        connection.execute(text("set local search_path = described"))
        Base.metadata.create_all(connection)
        described = _definitions(connection, "described")
    assert made == described


def _definitions(connection: Connection, schema: str) -> list[str]:
    rows = connection.scalars(text(_DEFINITIONS), {"schema": schema})
    return sorted(row.replace(f"{schema}.", "") for row in rows)


_DEFINITIONS = r"""
    select regexp_replace(indexdef, ' WITH \([^)]*\)', '') from pg_indexes
    where schemaname = :schema and tablename <> 'alembic_version'
      and not exists (select from pg_class where oid = (schemaname || '.' || tablename)::regclass and relispartition)
    union all
    select conrelid::regclass || ' ' || pg_get_constraintdef(oid)
    from pg_constraint where connamespace = cast(:schema as regnamespace) and contype = 'c'
      and not exists (select from pg_class where oid = conrelid and relispartition)
    union all
    select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum e join pg_type t on t.oid = e.enumtypid
    where t.typname = 'message_state' and e.enumlabel <> 'queued' and t.typnamespace = cast(:schema as regnamespace)
"""


def test_what_was_counted_before_there_were_hints_and_totals(database_url: str, engine: Engine) -> None:
    """Every mailing that has something to do is looked at, and the totals have everything that is shown."""
    with engine.connect() as connection:
        connection.execute(text("set role none"))
        _migrate(connection, "down", "0003")
        connection.execute(text(_BEFORE))
        connection.commit()
    upgrade(database_url)
    with engine.connect() as connection:
        # 1 waits, 2 is paused, 3 is finished, 4 is deleted and finished, 5 is deleted and can be finished, as 6.
        hints = connection.execute(text("select mailing_id, slot, due_at <= now() from mailing_counters order by 1, 2"))
        assert [tuple(row) for row in hints] == [
            (1, 0, False), (1, 7, None), (2, 0, None), (3, -1, None), (4, -1, None), (5, 0, True), (6, 0, True),
        ]  # fmt: skip
        due = connection.scalar(text("select count(*) from mailing_counters join messages using (mailing_id, due_at)"))
        assert due == 1
        totals, third = read_totals(connection), read_figures(connection, [3])[3]
        assert count_mailings(connection) == 4
    assert (totals.audience, totals.states[MessageState.PENDING], totals.states[MessageState.SENT]) == (6, 2, 4)
    assert (third.audience, third.states[MessageState.SENT]) == (3, 3)


_BEFORE = """
    insert into mailings (text, starts_at, ends_at, audience, launched_at, paused_at, finished_at, deleted_at) values
        ('1', now(), now() + interval '1 h', 1, now(), null, null, null),
        ('2', now(), now() + interval '1 h', 1, now(), now(), null, null),
        ('3', now(), now() + interval '1 h', 3, now(), null, now(), null),
        ('4', now(), now() + interval '1 h', 1, now(), null, now(), now()),
        ('5', now(), now() + interval '1 h', 1, now(), null, null, now()),
        ('6', now(), now() + interval '1 h', 1, now(), null, null, null);
    insert into messages (mailing_id, client_id, status, due_at) values
        (1, 1, 'pending', now() + interval '30 min'), (2, 1, 'pending', now());
    insert into mailing_counters (mailing_id, slot, pending, sent) values
        (1, 0, 1, 0), (1, 7, 0, 0), (2, 0, 1, 0), (3, 1, 0, 1), (3, 2, 0, 2), (4, 3, 0, 1), (5, 0, 0, 1), (6, 0, 0, 1)
"""


@pytest.mark.parametrize(
    ("table", "before", "change"),
    [
        ("clients", "0013", "update clients set tag = 'new'"),
        ("imports", "0016", "update imports set name = 'new'"),
        ("clients", "0020", "update clients set tag = 'new'"),
    ],
)
def test_a_new_column_waits_for_those_who_read_and_nobody_waits_for_it(
    database_url: str, engine: Engine, table: str, before: str, change: str
) -> None:
    with engine.connect() as connection:
        connection.execute(text("set role none"))
        connection.execute(
            text("insert into clients (phone, operator_code, timezone) values (79120000001, '912', 'UTC')")
        )
        connection.execute(text("insert into imports default values"))
        _migrate(connection, "down", before)
        connection.commit()
        file = connection.scalar(text(_FILE), {"table": table})
    reader = engine.connect()
    reader.execute(text(f"select from {table}"))  # and leaves its transaction open
    with ThreadPoolExecutor(1) as pool:
        upgrading = pool.submit(upgrade, database_url)
        with engine.connect() as connection:
            while not connection.scalar(text(_WAITS), {"table": table}):
                assert not upgrading.done()
            connection.execute(text("set statement_timeout = '5s'"))
            assert connection.execute(text(change)).rowcount == 1
            connection.commit()
        assert not upgrading.done()
        reader.close()
        upgrading.result(60)
    with engine.connect() as connection:
        assert connection.execute(text("select attributes from clients")).one() == ({},)
        assert connection.execute(text("select by, columns from imports")).one() == (None, [])
        assert connection.scalar(text(_FILE), {"table": table}) == file


_WAITS = "select exists (select from pg_locks where not granted and relation = cast(cast(:table as text) as regclass))"
_FILE = "select relfilenode from pg_class where relname = :table"


def _migrate(connection: Connection, direction: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "shared.database:migrations")
    config.attributes["connection"] = connection
    (command.downgrade if direction == "down" else command.upgrade)(config, revision)
