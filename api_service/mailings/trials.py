"""A mailing is tried out on a few phones before it goes to everybody."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate

from api_service.mailings import trying
from api_service.mailings.mailings import ID
from api_service.mailings.trying import View
from api_service.web.blueprint import Blueprint
from api_service.web.fields import Moment, Phone
from api_service.web.key import Scope
from api_service.web.page import MAX_ID
from api_service.web.parts import parts, working
from api_service.web.problems import NotFound, TooLate
from api_service.web.schema import BodySchema, described, enumerated
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import ReceiptState

blueprint = Blueprint("Test sends", "Try a mailing out on a few phones.", "/mailings")

MOST = 5
"""Phones at a time."""


def _differ(phones: Sequence[int]) -> None:
    if len(set(phones)) < len(phones):
        raise ValidationError("Must not name a phone twice.")


class NewTrialSchema(BodySchema):
    phones = fields.List(
        Phone(),
        required=True,
        validate=[validate.Length(1, MOST), _differ],
        metadata=described(
            f"1 to {MOST} phones of clients. To one that is suppressed nothing is sent: its message is `skipped`.",
            example=["79123456789"],
            uniqueItems=True,
        ),
    )

    client_id = fields.Integer(
        validate=validate.Range(1, MAX_ID),
        metadata=described(
            "Of whose attributes a personal text is made; left out: of those of each, who may lack them.", example=1
        ),
    )


class TrialMessageSchema(Schema):
    id = fields.Integer(required=True, metadata=described("`/messages/{id}/` has every attempt of it.", example=7))
    client_id = fields.Integer(required=True, metadata=described("Who has the phone, or had it.", example=1))
    phone = fields.String(
        required=True,
        allow_none=True,
        metadata=described("Where it goes, or went; null: the client was erased.", example="79123456789"),
    )
    status = fields.Enum(
        MessageState, by_value=fields.String, required=True, metadata=enumerated("MessageState", "Where it stands.")
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata=enumerated(
            "MessageError",
            "Why the last attempt did not succeed, or why it is skipped; null if it did.",
            enum=[*map(str, Error), *map(str, Reason), None],
            example="rejected",
        ),
    )
    provider_words = fields.String(
        required=True,
        allow_none=True,
        metadata=described("What the provider said with it; null: nothing.", example="unknown subscriber"),
    )
    sent_at = Moment(
        required=True, allow_none=True, metadata=described("When the provider had accepted it; null if it has not.")
    )

    receipt = fields.Enum(
        ReceiptState,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata=enumerated(
            "ReceiptState",
            "What the provider has said of it since; null: nothing.",
            enum=[*map(str, ReceiptState), None],
        ),
    )


class TrialSchema(Schema):
    """A test send of a mailing."""

    at = Moment(required=True, metadata=described("When it was asked for."))
    text = fields.String(
        required=True,
        metadata=described(
            "What was sent: the text as it was then, made for `client_id` if that was given.",
            example="The doors open at noon.",
        ),
    )
    messages = fields.List(
        fields.Nested(TrialMessageSchema),
        required=True,
        metadata=described("One for each phone; none once they are not kept any more."),
    )


_MESSAGE = {
    "id": 7,
    "client_id": 1,
    "phone": "79123456789",
    "status": "pending",
    "error": None,
    "provider_words": None,
    "sent_at": None,
    "receipt": None,
}
_GIVEN = {"at": "2050-01-30T14:25:01.337204+00:00", "text": "The doors open at noon.", "messages": [_MESSAGE]}
_REFUSED = {"status": "failed", "error": "rejected", "provider_words": "unknown subscriber"}


@blueprint.route("/<id:mailing_id>/test/", parameters=[ID])
class Trials(MethodView):
    @blueprint.operation(
        "testMailing",
        scope=Scope.TEST,
        body=NewTrialSchema,
        sends={"phones": ["79123456789"]},
        status=202,
        answer=TrialSchema,
        gives=_GIVEN,
        fails=[NotFound, TooLate],
        is_idempotent=True,
    )
    def post(self, values: Mapping[str, Any], mailing_id: int) -> View:
        """Send a mailing to a few phones

        What the mailing would send at this moment goes to clients with these phones, through its provider and as any
        other message: at once, whatever its start and its send window, and within an hour or not at all. It is in no
        figure of the mailing, in no total and in no report. A phone that no client has is 422, and then nothing is
        sent; 409 if the mailing is finished or cancelled.
        """
        return trying.create(working(), parts().announcer, mailing_id, values["phones"], values.get("client_id"))

    @blueprint.operation(
        "listMailingTests",
        answer=TrialSchema(many=True),
        gives=[_GIVEN | {"messages": [_MESSAGE | _REFUSED]}],
        fails=[NotFound],
    )
    def get(self, mailing_id: int) -> Sequence[View]:
        """List the test sends of a mailing

        The last ten, the latest first, and what became of them.
        """
        return trying.list_last(working(), mailing_id)
