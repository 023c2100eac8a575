"""How far the files of clients are on their way into the directory."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound
from shared.database.models import Import

SILENT = timedelta(minutes=2)
"""Without a sign of life for so long an import is broken: longer than the slowest client that is not given up."""


_SHOWN = [column.key for column in Import.__table__.columns if column.key not in ("heard_at", "failure")]


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
    vanished = "The process that read it is gone." if found is ImportState.BROKEN else None
    return {**{name: getattr(one, name) for name in _SHOWN}, "state": found, "failure": one.failure or vanished}


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
