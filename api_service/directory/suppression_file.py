"""Files of phones that must not be written to: read as files of clients are, of which they take the phone, and of what
else there is a reason and a source."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from marshmallow import ValidationError
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from api_service.directory import client_lines, refused_lines, suppressing
from api_service.directory.batch import batches
from api_service.directory.files.lines import ClientFile, Refused, Row, plain
from api_service.directory.files.table import MEMBERS, Check
from api_service.directory.refused_lines import LISTED
from api_service.directory.suppression_schema import SuppressionSchema
from api_service.web.problems import NotFound
from api_service.web.schema import read_only
from api_service.web.work import Work
from shared.database.models import SuppressionFile
from shared.domain.digests import Digests
from shared.domain.text.shown import label

_COLUMNS = {"reason": "reason", "причина": "reason", "source": "source", "источник": "source"}
_LONGEST = {"reason": 200, "source": 64}


class _Rules:
    """A cell that would be wrong of a client is no reason to write to them: all is taken but a phone that is none."""

    def __init__(self) -> None:
        self._schema = SuppressionSchema(exclude=read_only(SuppressionSchema))

    @property
    def checks(self) -> Mapping[str, Check]:
        return dict.fromkeys(MEMBERS, str)

    def row(self, number: int, values: Mapping[str, Any]) -> Row | Mapping[str, Any]:
        try:
            taken = self._schema.load(values)
        except ValidationError as error:
            return error.messages_dict
        said = {name: taken[name] for name in ("reason", "source") if taken[name]}
        return Row(number, str(taken["phone"]), attributes=said or None)


def read(content_type: str | None, pieces: Iterable[bytes], charset: str | None) -> ClientFile:
    """As far as the first line. Raises WrongType, Invalid."""
    return client_lines.read(content_type, pieces, charset, rules=_Rules)


class Taken(NamedTuple):
    """What became of the lines of a file: the three after `lines` are all of them."""

    id: int
    lines: int
    created: int
    known: int
    refused: int
    errors: Sequence[Mapping[str, Any]]
    encoding: str
    separator: str | None
    columns: Sequence[Mapping[str, Any]]


def take(work: Work, digests: Digests, file: ClientFile) -> Taken:
    """In batches, each for good with its line of the audit, so that the same file may be sent again. Raises KeyMissing,
    and what the lines raise; what has been taken by then stays."""
    counts = {"lines": 0, "created": 0, "known": 0, "refused": 0}
    errors: list[dict[str, Any]] = []
    columns = [{"header": plain(one.header), "taken_as": _taken_as(one.taken_as)} for one in file.columns]
    kept = _Kept(_begin(work, file.separator, columns))
    for batch in batches(file.lines, file.columns):
        values = [_values(row) for row in batch.rows.values()]
        created = suppressing.create_all(work, digests, values, partial(kept.add, batch.refused))
        _count(counts, batch.lines, created, batch.refused)
        errors += [refused_lines.shown(line) for line in batch.refused[: LISTED - len(errors)]]
    with work.act() as act:
        act.connection.execute(_END, {"id": kept.file_id})
    return Taken(
        kept.file_id, **counts, errors=errors, encoding=file.encoding(), separator=file.separator, columns=columns
    )


class _Kept:
    """The refused lines of a file that are kept."""

    def __init__(self, file_id: int) -> None:
        self.file_id = file_id
        self._bytes = 0

    def add(self, lines: Sequence[Refused], connection: Connection) -> None:
        """Of a batch, in its transaction."""
        if lines:
            of = refused_lines.Of(suppression_file_id=self.file_id)
            self._bytes += refused_lines.keep(connection, of, lines, self._bytes)
            connection.execute(_COUNT_REFUSED, {"id": self.file_id, "refused": len(lines)})


def _begin(work: Work, separator: str | None, columns: Sequence[Mapping[str, Any]]) -> int:
    with work.act() as act:
        one = SuppressionFile(separator=separator, columns=list(columns))
        act.session.add(one)
        act.session.flush()
        return one.id


_COUNT_REFUSED = text("update suppression_files set refused = refused + :refused where id = :id")
_END = text("update suppression_files set ended_at = now() where id = :id")


def find(session: Session, file_id: int) -> SuppressionFile:
    """Raises NotFound."""
    one = session.get(SuppressionFile, file_id)
    if one is None:
        raise NotFound(f"There is no file of suppressions {file_id}; what is known of one is kept for 7 days.")
    return one


def _count(counts: dict[str, int], lines: int, created: int, refused: Sequence[Refused]) -> None:
    counts["lines"] += lines
    counts["created"] += created
    counts["refused"] += len(refused)
    counts["known"] += lines - created - len(refused)


def _values(row: Row) -> dict[str, Any]:
    said: dict[str, str] = {"reason": "", "source": ""}
    for name, value in (row.attributes or {}).items():
        if member := _COLUMNS.get(name.casefold()):
            said[member] = label(str(value)[: _LONGEST[member]])
    return {"phone": int(row.phone), **said}


def _taken_as(member: str | None) -> str | None:
    """Nothing, but for the phone and what is said of it."""
    if member == "phone":
        return member
    return _COLUMNS.get((member or "").removeprefix("attributes.").casefold())
