"""How long whoever uses a table has to wait for others, while something is done to the tables."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2.sql import SQL, Identifier

READ, WRITE = "access share", "row exclusive"
"""What every reading, and every writing statement asks of its table."""

_TABLES = """
    select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace order by 1
"""
_EVERY = 0.005  # seconds


@dataclass
class Wait:
    """The longest so far. seconds: from asking to having it."""

    seconds: float = 0.0
    table: str = ""


@contextmanager
def longest_wait(url: str, mode: str, tables: Sequence[str] = ()) -> Iterator[Wait]:
    """Asks for one table after the other, all the while, and lets go of each at once. tables: none means all."""
    longest, over = Wait(), threading.Event()

    def ask() -> None:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"
            )
            names = tables or sorted(name for (name,) in cursor)
            connection.commit()
            while not over.wait(_EVERY):
                for name in names:
                    since = time.monotonic()
                    cursor.execute(SQL(f"lock table {{}} in {mode} mode").format(Identifier(name)))
                    if (waited := time.monotonic() - since) > longest.seconds:
                        longest.seconds, longest.table = waited, name
                    connection.commit()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield longest
    finally:
        over.set()
        thread.join(60)
