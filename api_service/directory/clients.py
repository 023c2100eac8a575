"""/clients/"""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView

from api_service.directory import store
from api_service.directory.schema import ClientSchema
from api_service.web.document import Blueprint, path_id
from api_service.web.middleware import about
from api_service.web.page import Page, PageSchema
from api_service.web.parts import parts, snapshot, statement, transaction
from shared.database.models import Client

blueprint = Blueprint("Clients", "The directory of people who can be reached.", "/clients")

_SENT = {"phone": "79123456789", "operator_code": "912", "tag": "vip", "timezone": "Europe/Moscow"}
_GIVEN = {"id": 1, **_SENT}

Answer = tuple[Any, dict[str, str]]


@blueprint.route("/")
class Clients(MethodView):
    @blueprint.operation("listClients", query=PageSchema, answer=ClientSchema(many=True), gives=[_GIVEN])
    def get(self, query: Mapping[str, Page]) -> Answer:
        """List clients

        One page of the directory, in the order of ids.
        """
        with snapshot() as session:
            rows, total = store.listed(session, query["page"])
        return rows, query["page"].header(total)

    @blueprint.operation(
        "createClient", body=ClientSchema, sends=_SENT, status=201, answer=ClientSchema, gives=_GIVEN, fails=[409]
    )
    def post(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add a client

        Mailings that have started already are not for him. 409 if another client has the phone.
        """
        with statement() as connection:
            client = store.created(connection, values)
        about(client_id=client["id"])
        return client


@blueprint.route("/<id:client_id>/", parameters=[path_id("client_id", "The id of the client.")])
class OneClient(MethodView):
    @blueprint.operation("getClient", answer=ClientSchema, gives=_GIVEN, fails=[404])
    def get(self, client_id: int) -> Client:
        """Look up a client

        By the id that was given at his creation.
        """
        with transaction() as session:
            return store.found(session, client_id)

    @blueprint.operation(
        "replaceClient", body=ClientSchema, sends=_SENT, answer=ClientSchema, gives=_GIVEN, fails=[404, 409]
    )
    def put(self, values: Mapping[str, Any], client_id: int) -> Client:
        """Replace a client

        Everything is set: a field that is left out gets its default, as at the creation. 409 if another client has the
        phone.
        """
        with transaction() as session:
            return store.changed(session, client_id, values)

    @blueprint.operation(
        "changeClient",
        body=ClientSchema(partial=True),
        sends={"tag": "regular"},
        answer=ClientSchema,
        gives=_GIVEN | {"tag": "regular"},
        fails=[404, 409],
    )
    def patch(self, values: Mapping[str, Any], client_id: int) -> Client:
        """Change a client

        Only the fields that are given. A new phone does not change the operator code; give both where both change.
        Messages that are still to be sent go to the new phone. 409 if another client has it.
        """
        with transaction() as session:
            return store.changed(session, client_id, values)

    @blueprint.operation("deleteClient", status=204, fails=[404])
    def delete(self, client_id: int) -> None:
        """Delete a client

        His messages that are not sent yet are cancelled; one that is being handed to the provider just now may still
        arrive. What was sent stays in the statistics.
        """
        with transaction() as session:
            store.delete(session, client_id, parts().slot)
