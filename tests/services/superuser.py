"""What a test does to a database that none of the service's own processes may do."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text


@contextmanager
def superuser(engine: Engine) -> Iterator[Connection]:
    """A transaction with all the rights of the user of the engine's URL, which in tests is a superuser."""
    with engine.begin() as connection:
        connection.execute(text("set local role none"))
        yield connection
