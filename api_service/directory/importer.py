"""Files of clients on their way into the directory.

A file is taken in batches, each in one transaction that also counts it in the row of the import, keeps whom it took and
what it refused. So whatever dies leaves whole batches and true counts, and taking the same file again changes nothing
that it has changed already.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from itertools import count
from typing import Any, NamedTuple

from psycopg2.errors import DeadlockDetected, QueryCanceled
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from api_service.directory import refused_lines, staging
from api_service.directory.batch import Batch, Results, batches
from api_service.directory.comparing import compare
from api_service.directory.files.lines import EMPTIED, ClientFile, Refused, plain
from api_service.directory.phones import Phones
from api_service.directory.progress import end, found, reason
from api_service.directory.refused_lines import LISTED, Of
from api_service.web.problems import TooManyImports, Unavailable
from api_service.web.refusal import Refusal
from shared import clock
from shared.audit import Actor
from shared.database.models import Import
from shared.domain.digests import Digests
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.retime import retime_clients
from shared.metrics import IMPORTED_LINES, begin
from shared.suppression import flag

AT_A_TIME = 2
"""Imports of one process, so that they never take all of its threads."""
_RETRY_AFTER = 5  # seconds
_ATTEMPTS = 5
"""To store a batch."""


class Before(NamedTuple):
    """What is stored of an import when a batch joins it. kept: how much there is of refused lines."""

    lines: int
    kept: int


class Importer:
    """Takes files, so many at a time."""

    def __init__(self, sessions: sessionmaker[Session], default_timezone: str, digests: Digests, slot: Slot) -> None:
        self._sessions, self._default_timezone = sessions, default_timezone
        self._digests, self._slot = digests, slot
        begin(IMPORTED_LINES, (field.name for field in fields(Results)))
        self._free = threading.Semaphore(AT_A_TIME)
        self._running: set[int] = set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the imports of this process, for as long as the block lasts. Raises TooManyImports."""
        if not self._free.acquire(blocking=False):
            raise TooManyImports(Refusal.IMPORTS, f"{AT_A_TIME} imports are running here already.", _RETRY_AFTER)
        try:
            yield
        finally:
            self._free.release()

    def begin(self, name: str, file: ClientFile, actor: Actor) -> int:
        """The id of a new import. Who began it stands in its row, for the audit: this process may not see its end."""
        with self._sessions.begin() as session:
            one = Import(name=name, by=actor.by, request_id=actor.request_id, **_how_read(file))
            session.add(one)
            session.flush()
            return one.id

    def running(self) -> set[int]:
        """Imports of this process."""
        return self._running.copy()

    def take(self, import_id: int, file: ClientFile) -> Import:
        """Takes all lines; the row of the import in the end. No transaction waits for the next line.

        A batch is stored on a thread of its own, while the next one is read: one works where the other waits for the
        database, and asks for little else. Whatever the lines raise, and SQLAlchemyError, ends it: the import is broken
        then.
        """
        lines, kept, stored = 0, 0, Future[int]()
        stored.set_result(0)
        self._running.add(import_id)
        try:
            with ThreadPoolExecutor(1, "store") as storing:
                for batch in batches(file.lines, file.columns):
                    rows = staging.prepare(batch.rows)
                    kept += stored.result()
                    stored = storing.submit(self._store, import_id, file, batch, rows, Before(lines, kept))
                    lines += batch.lines
                stored.result()
        except BaseException as error:
            with suppress(SQLAlchemyError):  # if it cannot be written, the silence will tell
                self.end(import_id, reason(error))
            raise
        finally:
            self._running.discard(import_id)
        return self.end(import_id)

    def _store(self, import_id: int, file: ClientFile, batch: Batch, rows: staging.Prepared, before: Before) -> int:
        """Nothing of it where the import has been ended meanwhile: its line of the audit has its counts already.

        Returns how much joined the refused lines that are kept. Raises Unavailable where the database has lost some of
        what was stored before, as a standby may that takes over.
        """
        for attempt in count(1):
            try:
                with self._sessions.begin() as session, open_entries(session.connection(), self._slot) as entries:
                    connection = session.connection()
                    staging.stage(connection, rows)
                    suppressed = compare(connection, self._digests, batch.rows)
                    created, full, moved = staging.store(connection, import_id, rows, self._default_timezone)
                    flag(connection, suppressed)
                    refused = batch.all_refused(full)
                    results = batch.results(created, len(refused))
                    counted = {"id": import_id, "encoding": file.encoding(), **_counted(batch, results, refused)}
                    if not session.scalars(_COUNT, {**counted, "before": before.lines}).first():
                        if found(session, import_id).ended_at is None:
                            raise Unavailable("The database has lost lines of this file. Send it again.")
                        session.rollback()
                        return 0
                    joined = refused_lines.keep(connection, Of(import_id), refused, before.kept)
                    if moved:
                        retime_clients(connection, entries, moved)
                break
            except OperationalError as error:
                # In a circle with a client that is just being given another one's phone; or too long in line behind the
                # batches of many other imports. Nothing of the batch is stored then.
                if not isinstance(error.orig, DeadlockDetected | QueryCanceled) or attempt == _ATTEMPTS:
                    raise
        for result, lines in asdict(results).items():
            IMPORTED_LINES.labels(result).inc(lines)
        return joined

    def rehearse(self, name: str, file: ClientFile) -> Import:
        """What an import of the file would say at its end, as the directory is now; nothing is stored."""
        one = Import(name=name, started_at=clock.now(), **_how_read(file))
        one.lines = one.created = one.updated = one.refused = one.normalised = one.emptied = 0
        one.errors, one.emptied_values = [], []
        new = Phones()
        for batch in batches(file.lines, file.columns):
            with self._sessions.begin() as session:
                known, full = staging.look(session.connection(), staging.prepare(batch.rows))
                session.rollback()
            created = sum([new.add(int(phone)) for phone in batch.rows.keys() - known])
            refused = batch.all_refused(full)
            counted = _counted(batch, batch.results(created, len(refused)), refused)
            for member, more in counted.items():
                setattr(one, member, getattr(one, member) + more)
            one.errors, one.emptied_values = one.errors[:LISTED], one.emptied_values[:EMPTIED]
        one.ended_at, one.encoding = clock.now(), file.encoding()
        return one

    def end(self, import_id: int, failure: str | None = None) -> Import:
        """One that has ended already stays as it ended."""
        with self._sessions.begin() as session:
            one = found(session, import_id, lock=True)
            end(session, one, failure)
        return one


def _how_read(file: ClientFile) -> dict[str, Any]:
    columns = [
        {"header": plain(column.header), "taken_as": column.taken_as and plain(column.taken_as)}
        for column in file.columns
    ]
    return {"encoding": file.encoding(), "separator": file.separator, "columns": columns}


def _counted(batch: Batch, results: Results, refused: list[Refused]) -> dict[str, Any]:
    """What a batch adds to its import, by member."""
    return {
        "lines": batch.lines,
        **asdict(results),
        "errors": [refused_lines.shown(line) for line in refused[:LISTED]],
        "normalised": batch.normalised,
        "emptied": batch.emptied,
        "emptied_values": [{"line": line, "header": plain(header)} for line, header in batch.emptied_values],
    }


_COUNT = text(f"""
    update imports set lines = lines + :lines, created = created + :created, updated = updated + :updated,
        refused = refused + :refused, normalised = normalised + :normalised, emptied = emptied + :emptied,
        errors = jsonb_path_query_array(errors || :errors, '$[0 to {LISTED - 1}]'),
        emptied_values = jsonb_path_query_array(emptied_values || :emptied_values, '$[0 to {EMPTIED - 1}]'),
        encoding = :encoding, heard_at = now()
    where id = :id and ended_at is null and lines = :before
    returning id
""").bindparams(bindparam("errors", type_=JSONB), bindparam("emptied_values", type_=JSONB))
