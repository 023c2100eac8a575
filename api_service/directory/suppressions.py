"""/suppressions/"""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask.views import MethodView

from api_service.directory import imports, suppressing, suppression_file
from api_service.directory.client_lines import CSV
from api_service.directory.import_schema import REFUSED
from api_service.directory.suppression_schema import (
    SuppressionFileSchema,
    SuppressionImportQuerySchema,
    SuppressionImportSchema,
    SuppressionSchema,
    SuppressionsQuerySchema,
)
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.middleware import about
from api_service.web.page import PageSchema
from api_service.web.parts import parts, working
from api_service.web.problems import NotFound
from api_service.web.schema import answer, given_example, new, sent_example

blueprint = Blueprint("Suppressions", "Phones that must not be written to.", "/suppressions")


_ANSWER, _ANSWER_LIST = answer(SuppressionSchema), answer(SuppressionSchema, many=True)
_IMPORTED = {
    "id": 1,
    "lines": 3,
    "created": 1,
    "known": 1,
    "refused": 1,
    "errors": [{"line": 4, "errors": {"phone": ["Must be 11 digits, the first of them 7."]}, "value": "8926000"}],
    "encoding": "utf-8",
    "separator": ",",
    "columns": [{"header": name, "taken_as": name} for name in ("phone", "reason")],
}
_FILE = _IMPORTED | {
    "name": "stop-2050-01-31",
    "state": "finished",
    "taken_at": "2050-01-31T06:00:00.218374+00:00",
    "ended_at": "2050-01-31T06:00:01.004127+00:00",
    "failure": None,
}
_GIVEN = {name: value for name, value in given_example(SuppressionSchema).items() if name != "phone"}


@blueprint.route("/")
class Suppressions(MethodView):
    @blueprint.operation("listSuppressions", query=SuppressionsQuerySchema, answer=_ANSWER_LIST, gives=[_GIVEN])
    def get(self, query: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        """List suppressions

        In the order of ids: all, or that of a phone, if there is one.
        """
        listing = suppressing.list_part(working(), parts().digests, query["part"], query.get("phone"))
        return listing.rows, listing.headers()

    @blueprint.operation(
        "createSuppression",
        body=new(SuppressionSchema),
        sends=sent_example(SuppressionSchema),
        status=201,
        answer=_ANSWER,
        gives=_GIVEN,
        is_idempotent=True,
    )
    def post(self, values: Mapping[str, Any]) -> suppressing.Shown:
        """Suppress a phone

        From the answer on nothing is sent to it, but what is on the wire already; whatever waits for it is skipped
        (`opted_out`). It holds whether or not a client has the phone, and outlives every client who has: one who is
        created or imported with it later gets nothing either. A phone that is suppressed already stays so, with the
        reason that it has.
        """
        suppression = suppressing.create(working(), parts().digests, values)
        about(suppression_id=suppression.id)
        return suppression


@blueprint.route("/import/")
class ImportSuppressions(MethodView):
    @blueprint.operation(
        "importSuppressions",
        query=SuppressionImportQuerySchema,
        files=imports.FILES_OF_SUPPRESSIONS,
        answer=answer(SuppressionImportSchema),
        gives=_IMPORTED,
        is_idempotent=True,
    )
    def post(self, query: Mapping[str, Any]) -> suppression_file.Taken:
        """Suppress the phones of a file

        In all the forms that `POST /clients/import/` takes; of its columns the phone, and `reason` and `source` if
        there are such. All others are ignored, whatever stands in them: a file of clients will do. Lines of NDJSON are
        as the body of `POST /suppressions/`. The phones are suppressed in batches while the file is still coming, each
        for good; if it breaks off, send the same file again. `GET /suppressions/imports/` shows the progress meanwhile,
        under the `name` of the query. All refused lines: `/suppressions/imports/{id}/refused/`.
        """
        with imports.coming() as coming:
            file = suppression_file.read(coming.kind, coming.pieces, coming.charset)
            return suppression_file.take(working(), parts().digests, file, query["name"])


@blueprint.route("/imports/")
class SuppressionFiles(MethodView):
    @blueprint.operation(
        "listSuppressionFiles", query=PageSchema, answer=answer(SuppressionFileSchema, many=True), gives=[_FILE]
    )
    def get(self, query: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
        """List files of suppressions

        The newest first, those of the last 7 days; those that are being read with what has been taken by now. `errors`
        is empty here.
        """
        listing = suppression_file.list_part(working(), query["part"])
        return listing.rows, listing.headers()


@blueprint.route("/imports/<id:file_id>/", parameters=[path_id("file_id", "The id of the file.")])
class OneSuppressionFile(MethodView):
    @blueprint.operation("getSuppressionFile", answer=answer(SuppressionFileSchema), gives=_FILE, fails=[NotFound])
    def get(self, file_id: int) -> dict[str, Any]:
        """Look up a file of suppressions

        With what has come of it by now. It is kept for 7 days.
        """
        return suppression_file.find(working(), file_id)


@blueprint.route("/imports/<id:file_id>/refused/", parameters=[path_id("file_id", "The id of the file.")])
class RefusedSuppressions(MethodView):
    @blueprint.operation(
        "getRefusedSuppressions", answer={"type": "string"}, gives=REFUSED, content_type=CSV, fails=[NotFound]
    )
    def get(self, file_id: int) -> Response:
        """Look up refused lines of a file

        All of them, as `/clients/imports/{id}/refused/` gives those of a file of clients: to be mended and sent again.
        They are kept for 7 days, and of one file up to 24 MiB.
        """
        return suppression_file.refused_file(working(), file_id)


@blueprint.route("/<id:suppression_id>/", parameters=[path_id("suppression_id", "The id of the suppression.")])
class OneSuppression(MethodView):
    @blueprint.operation("deleteSuppression", status=204, fails=[NotFound])
    def delete(self, suppression_id: int) -> None:
        """Lift a suppression

        Mailings may write to the phone again. Messages that were skipped stay so.
        """
        suppressing.delete(working(), suppression_id)
