"""Files of phones that must not be written to: read as files of clients are, of which they take the phone, and of what
else there is a reason and a source."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from flask import Response
from marshmallow import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api_service.directory import client_lines, refused_lines, suppressing, suppression_progress
from api_service.directory.batch import Batch, batches
from api_service.directory.files.lines import ClientFile, Row, plain
from api_service.directory.files.table import MEMBERS, Check
from api_service.directory.progress import reason
from api_service.directory.refused_lines import LISTED
from api_service.directory.suppression_schema import SuppressionSchema
from api_service.web.page import Listing, Part
from api_service.web.schema import read_only
from api_service.web.work import Work
from shared import clock
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


def take(work: Work, digests: Digests, file: ClientFile, name: str = "") -> Taken:
    """In batches, each for good with its line of the audit, so that the same file may be sent again. Raises KeyMissing,
    and what the lines raise; what has been taken by then stays."""
    counts = {"lines": 0, "created": 0, "known": 0, "refused": 0}
    errors: list[dict[str, Any]] = []
    columns = [{"header": plain(one.header), "taken_as": _taken_as(one.taken_as)} for one in file.columns]
    with work.act() as act:
        progress = suppression_progress.begin(act.session, name, file.separator, columns)
    try:
        for batch in batches(file.lines, file.columns):
            values = [_values(row) for row in batch.rows.values()]
            with work.act() as act:
                created = suppressing.add_all(act, digests, values)
                more = _counted(batch, created)
                progress.add(act.connection, more, batch.refused)
            counts = {member: number + more[member] for member, number in counts.items()}
            errors += [refused_lines.shown(line) for line in batch.refused[: LISTED - len(errors)]]
    except BaseException as error:
        with suppress(SQLAlchemyError), work.act() as act:  # if it cannot be written, its silence will tell
            progress.end(act.connection, file.encoding(), reason(error))
        raise
    with work.act() as act:
        progress.end(act.connection, file.encoding())
    return Taken(
        progress.file_id, **counts, errors=errors, encoding=file.encoding(), separator=file.separator, columns=columns
    )


def list_part(work: Work, part: Part) -> Listing[dict[str, Any]]:
    """The newest first, without their refused lines."""
    with work.look() as session:
        listing = suppression_progress.list_part(session, part)
    now = clock.now()
    return listing.of(lambda one: suppression_progress.shown(one, now))


def find(work: Work, file_id: int) -> dict[str, Any]:
    """With the first of the lines that it refused. Raises NotFound."""
    with work.look() as session:
        one = suppression_progress.find(session, file_id)
        return {**suppression_progress.shown(one, clock.now()), "errors": refused_lines.first(session, one)}


def refused_file(work: Work, file_id: int) -> Response:
    """Raises NotFound."""
    with work.read() as session:
        return refused_lines.answer(work, session, suppression_progress.find(session, file_id))


def _counted(batch: Batch, created: int) -> dict[str, int]:
    refused = len(batch.refused)
    known = batch.lines - created - refused
    return {"lines": batch.lines, "created": created, "known": known, "refused": refused}


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
