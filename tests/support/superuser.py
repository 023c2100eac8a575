"""What a test does to a database that none of the service's own processes may do."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text


@contextmanager
def superuser(engine: Engine) -> Iterator[Connection]:
    """A transaction with all the rights of the user of the engine's URL, which in tests is a superuser."""
    with engine.begin() as connection:
        connection.execute(_BECOME)
        yield connection


@contextmanager
def superuser_alone(engine: Engine) -> Iterator[Connection]:
    """A connection with these rights that is in no transaction: for statements that may not be in one."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # nobody else gets it with these rights
        connection.exec_driver_sql("set role none")
        yield connection


# It finds what the service finds, the parts that it made, too.
_BECOME = text("""
    select set_config('search_path', (select string_agg(quote_ident(name), ', ') from unnest(names) name), true),
           set_config('role', 'none', true),
           set_config('statement_timeout', '0', true)  -- what a test makes ready takes what it takes
    from current_schemas(false) names
""")
