"""/suppressions/"""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView
from marshmallow import fields, validate

from api_service.directory import suppressing
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.fields import Label, Moment, Phone
from api_service.web.middleware import about
from api_service.web.page import PageSchema
from api_service.web.parts import parts, working
from api_service.web.problems import NotFound
from api_service.web.schema import ThingSchema, answer, described, given_example, new, sent_example

blueprint = Blueprint("Suppressions", "Phones that must not be written to.", "/suppressions")


class SuppressionSchema(ThingSchema):
    id = fields.Integer(dump_only=True, metadata=described("Given by the service, never given again.", example=1))
    phone = Phone(
        required=True,
        load_only=True,
        metadata=described(
            "11 digits, the first of them 7. It is kept as a digest, and shown by no answer.", example="79123456789"
        ),
    )
    reason = Label(
        load_default=lambda: "",
        validate=validate.Length(max=200),
        metadata=described("Why, in your words; nothing about the person.", example="STOP by SMS"),
    )
    source = Label(
        load_default=lambda: "",
        validate=validate.Length(max=64),
        metadata=described("Where it comes from.", example="crm"),
    )
    since = Moment(
        dump_only=True, metadata=described("When it was put on the list.", example="2050-01-31T06:00:00.218374+00:00")
    )
    client_id = fields.Integer(
        dump_only=True,
        allow_none=True,
        metadata=described("The client who has the phone now; null: nobody.", example=1),
    )


class SuppressionsQuerySchema(PageSchema):
    phone = Phone(metadata=described("Only the suppression of this phone."))


_ANSWER, _ANSWER_LIST = answer(SuppressionSchema), answer(SuppressionSchema, many=True)
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


@blueprint.route("/<id:suppression_id>/", parameters=[path_id("suppression_id", "The id of the suppression.")])
class OneSuppression(MethodView):
    @blueprint.operation("deleteSuppression", status=204, fails=[NotFound])
    def delete(self, suppression_id: int) -> None:
        """Lift a suppression

        Mailings may write to the phone again. Messages that were skipped stay so.
        """
        suppressing.delete(working(), suppression_id)
