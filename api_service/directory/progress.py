"""How far the files of clients are on their way into the directory, and that each of them ends."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api_service.web.chore import Chore
from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound, Problem
from shared import clock
from shared.audit import Actor, Change, write
from shared.database.models import Import

VANISHED = "The process that read it is gone."
SILENT = timedelta(minutes=2)
"""Without a sign of life for so long an import is broken: longer than the slowest client that is not given up."""
_HIDDEN = ("heard_at", "failure", "by", "request_id")
_SHOWN = [column.key for column in Import.__table__.columns if column.key not in _HIDDEN]


class ImportState(StrEnum):
    RUNNING = "running"  # lines are coming in
    FINISHED = "finished"  # every line was taken or refused
    BROKEN = "broken"  # it ended before the file did; what had been taken stays


def state(one: Import, now: datetime) -> ImportState:
    if one.ended_at is None:
        return ImportState.RUNNING if now - one.heard_at < SILENT else ImportState.BROKEN
    return ImportState.FINISHED if one.failure is None else ImportState.BROKEN


def shown(one: Import, now: datetime) -> dict[str, Any]:
    """As `imports.ImportSchema` wants it."""
    found = state(one, now)
    vanished = VANISHED if found is ImportState.BROKEN else None
    return {**{name: getattr(one, name) for name in _SHOWN}, "state": found, "failure": one.failure or vanished}


def end(session: Session, one: Import, failure: str | None) -> None:
    """One that is locked; it may have ended already, and stays so then. All that it did is one line of the audit, of
    whoever began it."""
    if one.ended_at is not None:
        return
    one.ended_at, one.failure = clock.now(), failure
    if one.by is not None:
        counts = {name: getattr(one, name) for name in ("lines", "created", "updated", "refused", "failure")}
        change = Change("import", "clients", one.id, after=counts)
        write(session.connection(), Actor(one.by, request_id=one.request_id), [change])


def reason(error: BaseException) -> str:
    """Why a file was not read to its end, for whoever sent it."""
    if isinstance(error, Problem):
        return error.message
    if isinstance(error, SQLAlchemyError):
        return "The database did not answer."
    return "A defect of the service; its log says more."


class Silence(Chore):
    """Its own imports live, also while a file brings nothing but blank rows; one whose process died is ended by one
    that lives."""

    pause = 30.0
    """A few looks may fail before an import that lives is silent."""

    def __init__(self, engine: Engine, running: Callable[[], Collection[int]]) -> None:
        """running: the ids of its own."""
        super().__init__(engine)
        self._running = running

    def _work(self) -> bool:
        if running := self._running():
            alive = update(Import).where(Import.id.in_(running), Import.ended_at.is_(None))
            with self._engine.begin() as connection:
                connection.execute(alive.values(heard_at=func.now()))
        silent = select(Import).where(Import.ended_at.is_(None), Import.heard_at < func.now() - SILENT)
        with Session(self._engine) as session, session.begin():
            for one in session.scalars(silent.with_for_update(skip_locked=True)):
                end(session, one, VANISHED)
        return False


def list_part(session: Session, part: Part, name: str | None) -> Listing[Import]:
    """The newest first. As of one moment.

    name: only those that were given it.
    """
    query = select(Import) if name is None else select(Import).where(Import.name == name)
    return cut(session, query, Import.id, part, descending=True)


def found(session: Session, import_id: int, *, lock: bool = False) -> Import:
    """Raises NotFound."""
    one = session.get(Import, import_id, with_for_update=lock or None)
    if one is None:
        raise NotFound(f"There is no import {import_id}.")
    return one
