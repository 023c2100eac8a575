"""Files of clients on their way into the directory.

A file is taken in batches, each in one transaction that also counts it in the row of the import. So whatever dies
leaves whole batches and true counts, and taking the same file again changes nothing that it has changed already.
"""

import io
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg2
from psycopg2.errors import DeadlockDetected
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from api_service.directory.progress import end, found
from api_service.web.problems import Problem, TooManyImports
from api_service.web.refusal import Refusal
from shared import clock
from shared.audit import Actor
from shared.database.models import Import
from shared.metrics import IMPORTED_LINES

AT_A_TIME = 2
"""Imports of one process, so that they never take all of its threads."""
BATCH = 10_000  # lines
LINGER = 1.0
"""Seconds after which a batch is taken though it is not full, so that a slow file shows its progress, too."""
LISTED = 100  # errors
_RETRY_AFTER = 5  # seconds
_ATTEMPTS = 3

ABSENT = r"\N"
Row = tuple[str, str, str, str, str]
"""A client as COPY takes it: phone, operator code, tag, time zone, and the operator code in case he is new. ABSENT: the
line does not say."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that is refused. number: counted from 1. errors: sentences by field, as in a 422."""

    number: int
    errors: Mapping[str, Any]


Lines = Iterator[Row | Wrong]


class Importer:
    """Takes files, so many at a time."""

    def __init__(self, sessions: sessionmaker[Session], default_timezone: str) -> None:
        self._sessions, self._default_timezone = sessions, default_timezone
        self._free = threading.Semaphore(AT_A_TIME)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the imports of this process, for as long as the block lasts. Raises TooManyImports."""
        if not self._free.acquire(blocking=False):
            raise TooManyImports(Refusal.IMPORTS, f"{AT_A_TIME} imports are running here already.", _RETRY_AFTER)
        try:
            yield
        finally:
            self._free.release()

    def begin(self, name: str, actor: Actor) -> int:
        """The id of a new import. Who began it stands in its row, for the audit: this process may not see its end."""
        with self._sessions.begin() as session:
            one = Import(name=name, by=actor.by, request_id=actor.request_id)
            session.add(one)
            session.flush()
            return one.id

    def take(self, import_id: int, lines: Lines) -> Import:
        """Takes all lines; the row of the import in the end. No transaction is open while the next line is waited for.

        Whatever `lines` raises, and SQLAlchemyError, ends it: the import is broken then.
        """
        try:
            for batch in _batches(lines):
                self._store(import_id, batch)
        except BaseException as error:
            with suppress(SQLAlchemyError):  # if it cannot be written, the silence will tell
                self.end(import_id, _reason(error))
            raise
        return self.end(import_id)

    def _store(self, import_id: int, batch: "_Batch") -> None:
        """Nothing of it where the import has been ended meanwhile: its line of the audit has its counts already."""
        for attempt in count(1):
            try:
                with self._sessions.begin() as session:
                    created = self._write(session.connection(), batch.rows)
                    results = batch.results(created)
                    errors = json.dumps(batch.errors)
                    counted = {"id": import_id, "lines": batch.lines, "errors": errors, **results}
                    if not session.scalars(_COUNT, counted).first():
                        session.rollback()
                        return
                break
            except OperationalError as error:
                # With a client that is just being given another one's phone. Nothing of the batch is stored then.
                if not isinstance(error.orig, DeadlockDetected) or attempt == _ATTEMPTS:
                    raise
        for result, lines in results.items():
            IMPORTED_LINES.labels(result).inc(lines)

    def _write(self, connection: Connection, rows: Mapping[str, Row]) -> int:
        """How many of them are new clients. First the new ones, then the others as they are by then: so a client who is
        created elsewhere at this moment is found by one of the two."""
        connection.execute(_STAGE)
        _copy(connection, sorted(rows.values()))  # in the order of the index on phones, so that its pages are near
        connection.execute(_IN_TURN, {"key": _LOCK})
        connection.execute(_ROW_BY_ROW)
        created = connection.execute(_INSERT, {"timezone": self._default_timezone}).rowcount
        if created < len(rows):
            connection.execute(_UPDATE)
        return created

    def end(self, import_id: int, failure: str | None = None) -> Import:
        """One that has ended already stays as it ended."""
        with self._sessions.begin() as session:
            one = found(session, import_id, lock=True)
            end(session, one, failure)
        return one


class _Batch:
    """rows: by phone, what the lines say together. errors: of the first refused lines, `listed` at the most."""

    def __init__(self, listed: int) -> None:
        self.lines = 0
        self.refused = 0
        self.rows: dict[str, Row] = {}
        self.errors: list[dict[str, Any]] = []
        self._listed = listed

    def add(self, line: Row | Wrong) -> None:
        self.lines += 1
        if isinstance(line, Wrong):
            self.refused += 1
            if len(self.errors) < self._listed:
                self.errors.append({"line": line.number, "errors": line.errors})
            return
        earlier = self.rows.get(line[0])
        self.rows[line[0]] = _together(earlier, line) if earlier else line

    def results(self, created: int) -> dict[str, int]:
        """Lines by what became of them: a client's first line may create him, any other one updates him."""
        return {"created": created, "updated": self.lines - self.refused - created, "refused": self.refused}


def _together(earlier: Row, later: Row) -> Row:
    phone, code, tag, zone, usual_code = (
        old if new == ABSENT else new for old, new in zip(earlier, later, strict=True)
    )
    return phone, code, tag, zone, usual_code


def _batches(lines: Lines) -> Iterator[_Batch]:
    listed = LISTED
    batch, begun = _Batch(listed), clock.ticks()
    for line in lines:
        batch.add(line)
        if batch.lines == BATCH or clock.ticks() - begun > LINGER:
            yield batch
            listed -= len(batch.errors)
            batch, begun = _Batch(listed), clock.ticks()
    if batch.lines:
        yield batch


def _copy(connection: Connection, rows: Iterable[Row]) -> None:
    lines = io.BytesIO("".join(["\t".join(row) + "\n" for row in rows]).encode())
    try:
        connection.connection.cursor().copy_expert("copy staged from stdin", lines)
    except psycopg2.Error as error:
        raise DBAPIError.instance("copy", None, error, psycopg2.Error) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, Problem):
        return error.message
    if isinstance(error, SQLAlchemyError):
        return "The database did not answer."
    return "A defect of the service; its log says more."


_LOCK = 0x696D706F  # "impo": batches of imports wait for each other, else they might do so in a circle

_STAGE = text("""
    create temporary table staged (phone bigint, operator_code text, tag text, timezone text, usual_code text)
    on commit drop
""")
_IN_TURN = text("select pg_advisory_xact_lock(:key)")
# Until the table is analyzed the planner takes a new directory for a small one, and reads all of it for every batch.
_ROW_BY_ROW = text("select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")
_INSERT = text("""
    insert into clients (phone, operator_code, tag, timezone)
    select phone, coalesce(operator_code, usual_code), coalesce(tag, ''), coalesce(timezone, :timezone) from staged
    on conflict (phone) do nothing
""")
_UPDATE = text("""
    update clients c set
        operator_code = coalesce(s.operator_code, c.operator_code),
        tag = coalesce(s.tag, c.tag),
        timezone = coalesce(s.timezone, c.timezone),
        revision = c.revision + 1
    from staged s
    where c.phone = s.phone and (
        s.operator_code <> c.operator_code or s.tag <> c.tag or s.timezone <> c.timezone
    )
""")
_COUNT = text("""
    update imports set lines = lines + :lines, created = created + :created, updated = updated + :updated,
        refused = refused + :refused, errors = errors || cast(:errors as jsonb), heard_at = now()
    where id = :id and ended_at is null
    returning id
""")
