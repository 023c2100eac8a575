"""Lines of files that were refused, as they stood there: shown in the answer, kept for some days, given as a file."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from flask import Response
from sqlalchemy import ColumnElement, Connection, exists, select, text
from sqlalchemy.orm import Session

from api_service.directory.client_lines import CSV
from api_service.directory.files.lines import TOLD, Refused, plain
from api_service.web.problems import NotFound
from api_service.web.work import Work
from shared.database.models import Import, RefusedLines, SuppressionFile
from shared.domain.retention import REFUSED_LINES_DAYS
from shared.domain.text.shown import BEGINS_FORMULA

LISTED = 100
"""Of them are in the answer."""
MAX_KEPT = 24 * 2**20
"""Bytes, of an import. A file that has more is not one to be mended line by line; and an answer that is taken slowly
lies in a file of the server meanwhile."""

_FIELDS = 10  # of a line that are told
_MAX_NAME = 80
_MAX_SHOWN = 200
"""Characters of a value in an answer."""


def shown(line: Refused) -> dict[str, Any]:
    """As `imports.LineErrorSchema` wants it."""
    return {"line": line.line, "errors": _errors(line), "value": plain(line.value, _MAX_SHOWN)}


def first(session: Session, one: Import | SuppressionFile) -> list[dict[str, Any]]:
    """The first of those that are kept, as `shown` gives them."""
    page = session.scalars(select(RefusedLines).where(_are_of(one)).order_by(RefusedLines.id).limit(1)).first()
    lines = page.lines[:LISTED] if page else []
    return [{"line": line, "errors": errors, "value": value[:_MAX_SHOWN]} for line, errors, value, *_ in lines]


class Of(NamedTuple):
    """The file that refused them: one of the two."""

    import_id: int | None = None
    suppression_file_id: int | None = None


def keep(connection: Connection, of: Of, lines: Sequence[Refused], kept: int) -> int:
    """Those of a batch, unless there would be too much of the file, of which `kept` is there. Returns how much there
    is of these; more than there is room for: they are not kept."""
    if not lines or kept > MAX_KEPT:
        return 0
    rows = [[line.line, _errors(line), plain(line.value), *map(plain, line.cells)] for line in lines]
    written = json.dumps(rows, ensure_ascii=False)
    size = len(written.encode())
    if kept + size <= MAX_KEPT:
        connection.execute(_KEEP, {**of._asdict(), "lines": written})
    return size


def _errors(line: Refused) -> dict[str, Sequence[str]]:
    """Of no more than a few members, whose names are anybody's."""
    return {plain(name, _MAX_NAME): list(sentences) for name, sentences in islice(_flat(line.errors), _FIELDS)}


def _flat(errors: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Those of an attribute by `attributes.<name>`, as a column of it is called."""
    for name, sentences in errors.items():
        if isinstance(sentences, Mapping):
            yield from ((f"{name}.{inner}", more) for inner, more in sentences.items())
        else:
            yield name, sentences


def _are_of(one: Import | SuppressionFile) -> ColumnElement[bool]:
    if isinstance(one, Import):
        return RefusedLines.import_id == one.id
    return RefusedLines.suppression_file_id == one.id


def answer(work: Work, session: Session, one: Import | SuppressionFile) -> Response:
    """`as_csv`, to be saved as a file. Raises NotFound."""
    if one.refused and not session.scalar(select(exists().where(_are_of(one)))):
        raise NotFound(f"The lines that file {one.id} refused are kept for {REFUSED_LINES_DAYS} days.")
    headers = {"Content-Disposition": f'attachment; filename="refused-{one.id}.csv"'}
    return Response(as_csv(work, one), content_type=f"{CSV}; charset=utf-8", headers=headers)


def as_csv(work: Work, one: Import | SuppressionFile) -> Iterator[str]:
    """A file of them, in pieces: what is wrong with each, and its cells. None of its cells is a formula.

    It is in UTF-8 with a mark that says so, and has the separator of the file that it is about: so the program which
    made that one opens it.
    """
    separator = one.separator or ","
    headers = [column["header"] for column in one.columns]
    yield "\ufeff" + _written([[*TOLD, *headers]], separator)
    told = after = 0
    while page := _next(work, _are_of(one), after):
        yield _written([_cells(*line) for line in page.lines], separator)
        told, after = told + len(page.lines), page.id
    if one.ended_at is not None and told < one.refused:
        yield _written([["", f"{one.refused - told} more lines were refused, and are not kept."]], separator)


def _next(work: Work, are_of: ColumnElement[bool], after: int) -> RefusedLines | None:
    """Of one batch, so that memory does not depend on how many there are."""
    of_file = select(RefusedLines).where(are_of, RefusedLines.id > after)
    with work.read() as session:
        return session.scalars(of_file.order_by(RefusedLines.id).limit(1)).first()


def _cells(number: int, errors: Mapping[str, Sequence[str]], value: str, *cells: str) -> list[str]:
    reasons = [
        sentence if name == "_schema" else f"{name}: {sentence}"
        for name, sentences in errors.items()
        for sentence in sentences
    ]
    return [str(number), " ".join(reasons), value, *cells]


def _written(rows: Sequence[Sequence[str]], separator: str) -> str:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator="\r\n")
    writer.writerows([_defused(cell) for cell in row] for row in rows)
    return written.getvalue()


def _defused(cell: str) -> str:
    """As a program that calculates shows it, in place of what it would make of it."""
    return f"'{cell}" if cell.startswith(BEGINS_FORMULA) else cell


_KEEP = text("""
    insert into refused_lines (import_id, suppression_file_id, lines)
    values (:import_id, :suppression_file_id, cast(:lines as json))
""")
