"""How far the files of suppressions are, what came of them, and the lines that they refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from api_service.directory import refused_lines
from api_service.directory.files.lines import Refused
from api_service.directory.progress import SILENT, VANISHED, ImportState
from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound
from shared.database.models import SuppressionFile

Counts = Mapping[str, int]
"""Of lines, created, known and refused."""


class Progress:
    """Of a file that is being read: every batch counts its lines here, in its own transaction."""

    def __init__(self, file_id: int) -> None:
        self.file_id = file_id
        self._bytes = 0  # of refused lines that are kept

    def add(self, connection: Connection, counts: Counts, refused: Sequence[Refused]) -> None:
        """Of a batch."""
        of = refused_lines.Of(suppression_file_id=self.file_id)
        self._bytes += refused_lines.keep(connection, of, refused, self._bytes)
        connection.execute(_ADD, {"id": self.file_id, **counts})

    def end(self, connection: Connection, encoding: str, failure: str | None = None) -> None:
        """failure: why it ended before the file did."""
        connection.execute(_END, {"id": self.file_id, "encoding": encoding, "failure": failure})


_ADD = text("""
    update suppression_files set lines = lines + :lines, created = created + :created, known = known + :known,
        refused = refused + :refused, heard_at = now()
    where id = :id
""")
_END = text("update suppression_files set ended_at = now(), encoding = :encoding, failure = :failure where id = :id")


def begin(session: Session, name: str, separator: str | None, columns: Sequence[Mapping[str, Any]]) -> Progress:
    one = SuppressionFile(name=name, separator=separator, columns=list(columns))
    session.add(one)
    session.flush()
    return Progress(one.id)


def list_part(session: Session, part: Part) -> Listing[SuppressionFile]:
    """The newest first. As of one moment."""
    return cut(session, select(SuppressionFile), SuppressionFile.id, part, descending=True)


def find(session: Session, file_id: int) -> SuppressionFile:
    """Raises NotFound."""
    one = session.get(SuppressionFile, file_id)
    if one is None:
        raise NotFound(f"There is no file of suppressions {file_id}; what is known of one is kept for 7 days.")
    return one


def shown(one: SuppressionFile, now: datetime) -> dict[str, Any]:
    """As `SuppressionFileSchema` wants it, but for the refused lines."""
    state, failure = _state(one, now)
    return {**{name: getattr(one, name) for name in _SHOWN}, "state": state, "failure": failure, "errors": []}


_SHOWN = [column.key for column in SuppressionFile.__table__.columns if column.key not in ("heard_at", "failure")]


def _state(one: SuppressionFile, now: datetime) -> tuple[ImportState, str | None]:
    """And why it broke off."""
    if one.ended_at is not None:
        return ImportState.FINISHED if one.failure is None else ImportState.BROKEN, one.failure
    return (ImportState.RUNNING, None) if now - one.heard_at < SILENT else (ImportState.BROKEN, VANISHED)
