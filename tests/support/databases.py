"""Migrated databases, of which each test has one to itself as if it were new."""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from sqlalchemy import make_url

from tests.support.new_database import MIGRATED
from tests.support.waiting import wait_until

Rows = list[tuple[Any, ...]]

_numbers = itertools.count(1)

_CATALOGS = (
    *("attrdef", "attribute", "constraint", "default_acl", "enum", "event_trigger", "extension", "index", "inherits"),
    *("policy", "proc", "rewrite", "sequence", "statistic", "statistic_ext", "trigger", "type"),
    "namespace where nspname !~ '^pg_'",
)
_SCHEMA = f"""
    {" ".join(f"select count(*), sum(xmin::text::bigint) from pg_{one} union all" for one in _CATALOGS)}
    select count(*), sum(hashtext(concat_ws(' ', oid, relname, relowner, relpersistence, relacl, reloptions)))
    from pg_class
"""
"""Whatever is changed in a catalog becomes a row of another transaction; in pg_class, a table that is emptied, too."""

_SETTINGS = """
    select datallowconn, datconnlimit, datacl::text, exists (select from pg_db_role_setting where setdatabase = one.oid)
    from pg_database one where datname = %s
"""
_UNTOUCHED = [(True, -1, None, False)]

_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"

_FILLED = """
    select oid::regclass::text from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_relation_size(oid) > 0
"""
_SEQUENCES = "select seqrelid::regclass::text, pg_sequence_last_value(seqrelid) from pg_sequence"
_RESTART = "select setval(seqrelid, coalesce(%s, seqstart), %s) from pg_sequence where seqrelid = %s::regclass"


class Databases:
    """One that a test has used is emptied for the next: that takes half the time of making one and of reading its
    catalogs for the first time. One in which a test has changed more than rows is dropped."""

    def __init__(self, server: str) -> None:
        """server: the URL of another database there."""
        self._server = server
        self._free: list[str] = []
        with closing(self._connect(MIGRATED)) as template:
            self._schema = _run(template, _SCHEMA)
            self._sequences = dict(_run(template, _SEQUENCES))
            self._rows = {table: _rows(template, table) for (table,) in _run(template, _FILLED)}

    @contextmanager
    def one(self) -> Iterator[str]:
        """Its URL."""
        name = self._free.pop() if self._free else self._made()
        try:
            yield self._url(name)
        finally:
            self._take_back(name)

    def _made(self) -> str:
        name = self._name()
        with closing(self._connect()) as admin:
            _run(admin, f"create database {name} template {MIGRATED} strategy file_copy")
        return name

    def _take_back(self, name: str) -> None:
        """Under another name: whoever was left behind by the test does not find it."""
        another = self._name()
        with closing(self._connect()) as admin:
            try:
                wait_until(lambda: not _run(admin, _TERMINATE, name))
                _run(admin, f"alter database {name} rename to {another}")
            except psycopg2.Error:  # somebody has come back
                another = name
            if another != name and _run(admin, _SETTINGS, another) == _UNTOUCHED and self._emptied(another):
                self._free.append(another)
            else:
                _run(admin, f"drop database {another} with (force)")

    def _emptied(self, name: str) -> bool:
        """False: it has another schema."""
        with closing(self._connect(name)) as used:
            if _run(used, _SCHEMA) != self._schema:
                return False
            _run(used, "set session_replication_role = replica")  # no trigger stands in the way
            filled = [table for (table,) in _run(used, _FILLED) if table not in self._rows]
            if filled:
                _run(used, f"truncate {', '.join(filled)} cascade")
            for table, rows in self._rows.items():
                if _rows(used, table) != rows:
                    _run(used, f"delete from {table}")
                    _run(used, f"insert into {table} select * from json_populate_recordset(null::{table}, %s)", rows)
            for sequence, last in _run(used, _SEQUENCES):
                if last != (first := self._sequences[sequence]):
                    _run(used, _RESTART, first, first is not None, sequence)
        return True

    def _name(self) -> str:
        return f"used_{os.getpid()}_{next(_numbers)}"

    def _url(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def _connect(self, name: str | None = None) -> connection:
        """In no transaction. name: None: of the database of the server's URL."""
        found = psycopg2.connect(self._url(name) if name else self._server)
        found.autocommit = True
        return found


def _run(to: connection, statement: str, *values: Any) -> Rows:
    with to.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def _rows(to: connection, table: str) -> str:
    """As JSON."""
    statement = f"select coalesce(json_agg(one order by one::text), '[]')::text from {table} one"
    return str(_run(to, statement)[0][0])
