"""One question to a server, on a connection that is in no transaction."""

from typing import Any


def ask(connection: Any, statement: str, values: object = None) -> Any:
    """The first row of the answer, None where there is none. One round trip, where a transaction around it makes three.

    connection: of psycopg2. What the statement sets for the session stays.
    """
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()
    finally:
        if not connection.closed:
            connection.autocommit = False
