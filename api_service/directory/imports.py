"""/clients/import/ and /clients/imports/"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

from flask import Response, current_app, request
from flask.views import MethodView

from api_service.directory import client_lines, progress, refused_lines
from api_service.directory.client_lines import CSV, NDJSON
from api_service.directory.files.kinds import SAVE_AS_CSV
from api_service.directory.import_schema import (
    GIVEN,
    REFUSED,
    Columns,
    ImportQuerySchema,
    ImportSchema,
    ImportsQuerySchema,
)
from api_service.directory.importer import Importer
from api_service.web import upload
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.coding import decoded
from api_service.web.door import watched
from api_service.web.middleware import about
from api_service.web.page import Listing, Part
from api_service.web.parts import working
from api_service.web.problems import NotFound, WrongType
from api_service.web.schema import answer
from api_service.web.watch import ENDED, Watched
from api_service.web.work import Work
from shared import clock

blueprint = Blueprint("Imports", "Clients by the million, from a file.", "/clients")

_FILES = {
    CSV: "phone,operator_code,tag,timezone\n79123456789,912,vip,Europe/Moscow\n79260000000,,regular,\n8926000,,,\n",
    NDJSON: '{"phone": "79123456789", "tag": "vip", "timezone": "Europe/Moscow"}\n{"phone": "79260000000"}\n',
}
_ANY = "application/octet-stream"
"""One of both, by its first character: what programs send that know no other type of a file."""
FILES_OF_SUPPRESSIONS = {
    CSV: "phone,reason\n79123456789,STOP\n79123456789,\n8926000,\n",
    NDJSON: '{"phone": "79123456789", "reason": "STOP", "source": "crm"}\n',
    _ANY: "phone,reason\n79123456789,STOP\n",
}
_ALIASES = {
    **dict.fromkeys(("application/ndjson", "application/jsonl"), NDJSON),
    **dict.fromkeys(("application/csv", "text/comma-separated-values", "text/tab-separated-values"), CSV),
    "application/vnd.ms-excel": _ANY,  # what browsers on Windows call a CSV file
}
View = dict[str, Any]


class Coming(NamedTuple):
    """The file of the present request. kind: CSV or NDJSON; None: whichever it is. watch: over its key, if it needs
    one."""

    kind: str | None
    pieces: Iterable[bytes]
    charset: str | None
    watch: Watched | None


@contextmanager
def coming() -> Iterator[Coming]:
    """It has a place among the imports of this process for as long as the block lasts. Raises WrongType,
    TooManyImports."""
    content_type = _ALIASES.get(request.mimetype, request.mimetype)
    if content_type not in (*_FILES, _ANY):
        raise WrongType(f"The content type must be {' or '.join(_FILES)}. {SAVE_AS_CSV}")
    kind, charset = None if content_type == _ANY else content_type, request.mimetype_params.get("charset")
    with placed(decoded(request, upload.pieces(request), upload.MAX_BYTES), kind, charset) as file:
        yield file


@contextmanager
def placed(pieces: Iterable[bytes], kind: str | None = None, charset: str | None = None) -> Iterator[Coming]:
    """The same of a file that comes in another way. Raises TooManyImports."""
    importer = cast(Importer, current_app.extensions["importer"])
    with importer.place(), watched() as watch:
        yield Coming(kind, watch.pieces(pieces) if watch else pieces, charset, watch)


_ANSWER, _ANSWER_LIST = answer(ImportSchema), answer(ImportSchema, many=True)


@blueprint.route("/import/")
class ImportClients(MethodView):
    @blueprint.operation(
        "importClients",
        query=ImportQuerySchema,
        files={**_FILES, _ANY: _FILES[CSV]},
        answer=_ANSWER,
        gives=GIVEN,
        is_idempotent=True,
    )
    def post(self, query: Mapping[str, Any]) -> View:
        """Import a file of clients

        As a table (CSV) whose first line names the columns, in the forms that spreadsheets and people give it, or as
        NDJSON, a JSON object per line with the fields and rules of `POST /clients/`. A line about a phone that another
        client has changes that client, in the fields that it has; what it leaves out stays, and gets its default where
        the client is new. Of lines about the same phone the last one wins. Attributes join those that are known, and
        none is taken away; a line that would leave more than 50 is refused.

        Of a table the encoding is told by its byte order mark, by `charset=`, or by what is in it, else it is UTF-8;
        the separator (comma, semicolon, tab, bar) by its first line. Columns are known by English and Russian names,
        in any case (`phone`, `Телефон`, `тег`); each further one becomes an attribute. Blanks at the ends of a cell are
        nothing, and so are empty cells, blank rows, and columns without a name. Phones and time zones may be spelled as
        people spell them (`8 (912) 345-67-89`, `UTC+3`); a phone that has lost digits, or has an extension, is refused.

        A wrong line is refused and the others are taken. They are taken in batches while the file is still coming, each
        for good, and the answer comes after the last one; `GET /clients/imports/` shows the progress meanwhile, under
        the `name` of the query. If it breaks off, send the same file again: what has been taken already stays as it is.
        """
        with coming() as file_coming:
            is_strict = query["columns"] is Columns.STRICT
            return taken(file_coming, query["name"], is_strict=is_strict, is_rehearsal=query["dry_run"])


def taken(coming: Coming, name: str, *, is_strict: bool, is_rehearsal: bool) -> View:
    """What has come of a file when all of it is read."""
    importer = cast(Importer, current_app.extensions["importer"])
    file = client_lines.read(coming.kind, coming.pieces, coming.charset, strict=is_strict)
    if is_rehearsal:
        return progress.shown(importer.rehearse(name, file), clock.now())
    import_id = importer.begin(name, file, working().actor)
    about(import_id=import_id)
    if coming.watch:
        coming.watch.when_over = partial(importer.end, import_id, ENDED)
    return progress.shown(importer.take(import_id, file), clock.now())


@blueprint.route("/imports/")
class Imports(MethodView):
    @blueprint.operation("listImports", query=ImportsQuerySchema, answer=_ANSWER_LIST, gives=[GIVEN])
    def get(self, query: Mapping[str, Any]) -> tuple[Sequence[View], dict[str, str]]:
        """List imports

        One page of them, the newest first, those that are running with what they have done by now.
        """
        listing = list_part(working(), query["part"], query.get("name"))
        return listing.rows, listing.headers()


@blueprint.route("/imports/<id:import_id>/", parameters=[path_id("import_id", "The id of the import.")])
class OneImport(MethodView):
    @blueprint.operation("getImport", answer=_ANSWER, gives=GIVEN, fails=[NotFound])
    def get(self, import_id: int) -> View:
        """Look up an import

        With what it has done by now.
        """
        return find(working(), import_id)


@blueprint.route("/imports/<id:import_id>/refused/", parameters=[path_id("import_id", "The id of the import.")])
class RefusedLines(MethodView):
    @blueprint.operation(
        "getRefusedLines", answer={"type": "string"}, gives=REFUSED, content_type=CSV, fails=[NotFound]
    )
    def get(self, import_id: int) -> Response:
        """Look up refused lines

        All of an import, as a CSV file for a spreadsheet: the number of each line, the reason, the value at fault, and
        its cells as they stood in the file, whose separator it has. A cell that would be a formula begins with an
        apostrophe. They are kept for 7 days, and of one import up to 24 MiB.
        """
        return refused_file(working(), import_id)


def list_part(work: Work, part: Part, name: str | None = None) -> Listing[View]:
    """The newest first."""
    with work.look() as session:
        listing = progress.list_part(session, part, name)
    now = clock.now()
    return listing.of(lambda one: progress.shown(one, now))


def find(work: Work, import_id: int) -> View:
    """Raises NotFound."""
    with work.read() as session:
        return progress.shown(progress.found(session, import_id), clock.now())


def refused_file(work: Work, import_id: int) -> Response:
    """Raises NotFound."""
    with work.read() as session:
        return refused_lines.answer(work, session, progress.found(session, import_id))
