"""A transaction that begins with its first statement and is committed with its last, two round trips cheaper than one
that is begun and committed by statements of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import Connection, Engine, TextClause, text

from shared.database.engine import is_pooled, one_statement


class Short:
    """`first` and `last` are what the first and the last statement have to be executed as."""

    def __init__(self, connection: Connection, *, is_plain: bool) -> None:
        """is_plain: the transaction begins and ends by itself."""
        self.connection, self._is_plain = connection, is_plain

    def first(self, statement: TextClause) -> TextClause:
        return statement if self._is_plain else _with(statement, "begin; ", "")

    def last(self, statement: TextClause) -> TextClause:
        return statement if self._is_plain else _with(statement, "", "; commit")


@contextmanager
def short_transaction(engine: Engine) -> Iterator[Short]:
    """Whatever leaves the block before the last statement rolls it back.

    Behind a pooler it is a transaction as any other, which begins with its settings.
    """
    with one_statement(engine) as connection:
        try:
            yield Short(connection, is_plain=is_pooled(engine))
        finally:
            if not is_pooled(engine) and _is_open(connection):
                connection.exec_driver_sql("rollback")


def _is_open(connection: Connection) -> bool:
    """As the server said with its last answer. psycopg2, which was not asked to begin it, does not know."""
    if connection.invalidated:
        return False
    own: Any = connection.connection.dbapi_connection
    return not own.closed and own.info.transaction_status != TRANSACTION_STATUS_IDLE


@cache
def _with(statement: TextClause, before: str, after: str) -> TextClause:
    return text(f"{before}{statement.text}{after}").bindparams(*statement._bindparams.values())
