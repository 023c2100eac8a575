"""/clients/"""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask.views import MethodView

from api_service.directory import actions
from api_service.directory import export as list_as_file
from api_service.directory.schema import ClientSchema, ClientsQuerySchema, DeletionQuerySchema
from api_service.web import export
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.middleware import about
from api_service.web.page import chosen
from api_service.web.parts import parts, working
from api_service.web.problems import NotFound, Taken
from api_service.web.schema import answer, changes, given_example, new, replacement, sent_example
from shared.database.models import Client

blueprint = Blueprint("Clients", "The directory of people who can be reached.", "/clients")

_SENT = sent_example(ClientSchema)
_ANSWER, _ANSWER_LIST = answer(ClientSchema), answer(ClientSchema, many=True)
_GIVEN = given_example(ClientSchema)
_EXPORTS = {
    "text/csv": "\ufeffoperator_code,tag,timezone,attributes,phone\r\n"
    '912,"vip","Europe/Moscow","{""city"": ""Omsk"", ""visits"": 3}",79123456789\r\n',
    "application/x-ndjson": '{"operator_code":"912","tag":"vip","timezone":"Europe/Moscow","attributes":'
    '{"city": "Omsk", "visits": 3},"phone":"79123456789"}\n',
}

Answer = tuple[Any, dict[str, str]]


@blueprint.route("/")
class Clients(MethodView):
    @blueprint.operation("listClients", query=ClientsQuerySchema, answer=_ANSWER_LIST, gives=[_GIVEN], exports=_EXPORTS)
    def get(self, query: dict[str, Any]) -> Answer | Response:
        """List clients

        In the order of ids: all, or those that match every filter. `phone` and `reference` are found at once, however
        many clients there are; for the others the list is walked.

        As a file (`format`) it has what an import takes, and an import of it changes nothing: operator code, tag, time
        zone, as JSON the attributes, and the phone. A cell of CSV that would be a formula begins with an apostrophe.
        """
        if form := export.wanted(query):
            pages = list_as_file.pages(working(), chosen(query), export.style(form))
            return export.as_file(form, "clients", list(list_as_file.COLUMNS), pages)
        listing = actions.list_part(working(), query["part"], chosen(query))
        return listing.rows, listing.headers()

    @blueprint.operation(
        "createClient",
        body=new(ClientSchema),
        sends=_SENT,
        status=201,
        answer=_ANSWER,
        gives=_GIVEN,
        fails=[Taken],
        is_tagged=True,
        is_idempotent=True,
    )
    def post(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add a client

        Mailings that have started already are not for them. 409 if another client has the phone.
        """
        client = actions.create(working(), parts().digests, values)
        about(client_id=client["id"])
        return client


@blueprint.route("/<id:client_id>/", parameters=[path_id("client_id", "The id of the client.")])
class OneClient(MethodView):
    @blueprint.operation("getClient", answer=_ANSWER, gives=_GIVEN, fails=[NotFound], is_tagged=True)
    def get(self, client_id: int) -> Client:
        """Look up a client

        By the id that was given at their creation.
        """
        return actions.find(working(), client_id)

    @blueprint.operation(
        "replaceClient",
        body=replacement(ClientSchema),
        sends=_SENT,
        answer=_ANSWER,
        gives=_GIVEN,
        fails=[NotFound, Taken],
        is_tagged=True,
        is_conditional=True,
    )
    def put(self, values: Mapping[str, Any], client_id: int) -> Client:
        """Replace a client

        Everything is set: a field that is left out gets its default, as at the creation. 409 if another client has the
        phone.
        """
        return actions.change(working(), parts().digests, client_id, values)

    @blueprint.operation(
        "changeClient",
        body=changes(ClientSchema),
        sends={"tag": "regular"},
        answer=_ANSWER,
        gives=_GIVEN | {"tag": "regular", "revision": 2},
        fails=[NotFound, Taken],
        is_tagged=True,
        is_conditional=True,
    )
    def patch(self, values: Mapping[str, Any], client_id: int) -> Client:
        """Change a client

        Only the fields that are given. A new phone does not change the operator code; give both where both change.
        Messages that are still to be sent go to the new phone. 409 if another client has it.
        """
        return actions.change(working(), parts().digests, client_id, values)

    @blueprint.operation("deleteClient", query=DeletionQuerySchema, status=204, fails=[NotFound], is_conditional=True)
    def delete(self, query: Mapping[str, Any], client_id: int) -> None:
        """Delete a client

        Their messages that are not sent yet are cancelled; one that is being handed to the provider just now may still
        arrive. What was sent stays in the statistics. With `erase=true` their phone, attributes and all values go from
        everywhere, also where they were deleted before: most at once, lines of files and answers that are kept for a
        key within a day. Every figure stays.
        """
        (actions.erase if query["erase"] else actions.delete)(working(), client_id)
