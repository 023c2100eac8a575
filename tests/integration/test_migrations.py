"""The schema that the migrations make is the one that the models describe."""

import threading

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from shared import migrate
from shared.database.models import Base


def test_migrations_and_models_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_indexes_constraints_and_states_are_those_of_the_models(engine: Engine) -> None:
    """To the letter, with their conditions, which the comparison above does not look at."""
    with engine.begin() as connection:
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
    union all
    select conrelid::regclass || ' ' || pg_get_constraintdef(oid)
    from pg_constraint where connamespace = cast(:schema as regnamespace) and contype = 'c'
    union all
    select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum e join pg_type t on t.oid = e.enumtypid
    where t.typname = 'message_state' and t.typnamespace = cast(:schema as regnamespace)
"""


def test_migrating_twice_and_at_the_same_time_is_harmless(database_url: str) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(database_url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
