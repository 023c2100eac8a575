"""/clients/import/ and /clients/imports/"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import request
from flask.views import MethodView
from webargs.flaskparser import abort

from api_service import client_lines, imports, upload
from api_service.access import about
from api_service.admission import watched
from api_service.client_lines import CSV, NDJSON
from api_service.documentation import Blueprint, path_id
from api_service.page import Page
from api_service.parts import parts, snapshot, transaction
from api_service.schemas import ImportQuerySchema, ImportSchema, ImportsQuerySchema
from api_service.watch import ENDED
from shared import clock

blueprint = Blueprint("Imports", "Clients by the million, from a file.", "/clients")

_FILES = {
    CSV: "phone,operator_code,tag,timezone\n79123456789,912,vip,Europe/Moscow\n79260000000,,regular,\n8926000,,,\n",
    NDJSON: '{"phone": "79123456789", "tag": "vip", "timezone": "Europe/Moscow"}\n{"phone": "79260000000"}\n',
}
_ALIASES = {"application/ndjson": NDJSON, "application/jsonl": NDJSON, "application/csv": CSV}
_GIVEN = {
    "id": 1,
    "name": "crm-2050-01-31",
    "state": "finished",
    "started_at": "2050-01-31T06:00:00.218374+00:00",
    "ended_at": "2050-01-31T06:00:01.004127+00:00",
    "failure": None,
    "lines": 3,
    "created": 1,
    "updated": 1,
    "refused": 1,
    "errors": [{"line": 4, "errors": {"phone": ["Must be 11 digits, the first of them 7."]}}],
}

View = dict[str, Any]


@blueprint.route("/import/")
class ImportClients(MethodView):
    @blueprint.operation("importClients", query=ImportQuerySchema, files=_FILES, answer=ImportSchema, gives=_GIVEN)
    def post(self, query: Mapping[str, Any]) -> View:
        """Import a file of clients

        As CSV, whose first line names the columns, or as NDJSON, a JSON object per line; UTF-8. The fields and their
        rules are those of `POST /clients/`. A line about a phone that another client has changes that client, in the
        fields that it has; what it leaves out stays, and gets its default where the client is new. In CSV an empty
        `operator_code` or `timezone` is one that is left out. Of lines about the same phone the last one wins.

        A wrong line is refused and the others are taken. They are taken in batches while the file is still coming, each
        for good, and the answer comes after the last one; `GET /clients/imports/` shows the progress meanwhile, under
        the `name` of the query. If it breaks off, send the same file again: what has been taken already stays as it is.
        """
        content_type = _ALIASES.get(request.mimetype, request.mimetype)
        if content_type not in _FILES:
            abort(415, message=f"The content type must be {' or '.join(_FILES)}.")
        importer = parts().importer
        with importer.place(), watched() as watch:
            pieces = upload.pieces(request)
            lines = client_lines.read(content_type, watch.pieces(pieces) if watch else pieces)
            import_id = importer.begin(query["name"])
            about(import_id=import_id)
            if watch:
                watch.when_over = partial(importer.end, import_id, ENDED)
            return imports.shown(importer.take(import_id, lines), clock.now())


@blueprint.route("/imports/")
class Imports(MethodView):
    @blueprint.operation("listImports", query=ImportsQuerySchema, answer=ImportSchema(many=True), gives=[_GIVEN])
    def get(self, query: Mapping[str, Any]) -> tuple[list[View], dict[str, str]]:
        """List imports

        One page of them, the newest first, those that are running with what they have done by now.
        """
        page: Page = query["page"]
        with snapshot() as session:
            rows, total = imports.listed(session, page, query["name"])
        now = clock.now()
        return [imports.shown(one, now) for one in rows], page.header(total)


@blueprint.route("/imports/<id:import_id>/", parameters=[path_id("import_id", "The id of the import.")])
class OneImport(MethodView):
    @blueprint.operation("getImport", answer=ImportSchema, gives=_GIVEN, fails=[404])
    def get(self, import_id: int) -> View:
        """Look up an import

        With what it has done by now.
        """
        with transaction() as session:
            return imports.shown(imports.found(session, import_id), clock.now())
