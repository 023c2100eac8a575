"""What somebody is sent of a mailing."""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from api_service.mailings import previewing
from api_service.mailings.mailings import ID
from api_service.web.blueprint import Blueprint
from api_service.web.page import MAX_ID
from api_service.web.parts import working
from api_service.web.problems import NotFound
from api_service.web.schema import described, enumerated
from shared.domain.reason import Reason

blueprint = Blueprint("Preview", "What somebody is sent of a mailing, before it is sent.", "/mailings")


class PreviewQuerySchema(Schema):
    client_id = fields.Integer(
        required=True, validate=validate.Range(1, MAX_ID), metadata=described("For whom.", example=1)
    )


class PreviewSchema(Schema):
    mailing_id = fields.Integer(required=True, metadata=described("The mailing.", example=1))
    client_id = fields.Integer(required=True, metadata=described("The client.", example=1))
    text = fields.String(
        required=True,
        allow_none=True,
        metadata=described(
            "What the provider is given, to the byte, made of the attributes that they have now. Null: nothing.",
            example="Hello Anna, you have 12 points.",
        ),
    )
    is_fixed = fields.Boolean(
        required=True,
        metadata=described(
            "Their message was claimed or called already, or has ended: whatever changes, this is its text.",
            example=False,
        ),
    )
    skipped_because = fields.Enum(
        Reason,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata=enumerated(
            "SkippedBecause",
            "Why their message would be skipped. "
            + "; ".join(f"`{reason}`: {reason.meaning}" for reason in Reason)
            + ". Null: it would be sent.",
            enum=[*map(str, Reason), None],
        ),
    )
    explanation = fields.String(
        required=True, allow_none=True, metadata=described("The same for people, in a sentence.", example=None)
    )
    in_audience = fields.Boolean(
        required=True,
        metadata=described(
            "Whether they have a message of the mailing, or would get one if it was launched now. If not, the text is"
            " what they would be sent if they were.",
            example=True,
        ),
    )
    unmatched = fields.List(
        fields.String(),
        required=True,
        metadata=described("The members of the mailing's filter that they, as they are now, do not match.", example=[]),
    )


@blueprint.route("/<id:mailing_id>/preview/", parameters=[ID])
class Preview(MethodView):
    @blueprint.operation(
        "previewMailing",
        query=PreviewQuerySchema,
        answer=PreviewSchema,
        gives={
            "mailing_id": 1,
            "client_id": 1,
            "text": "Hello Anna, you have 12 points.",
            "is_fixed": False,
            "skipped_because": None,
            "explanation": None,
            "in_audience": True,
            "unmatched": [],
        },
        fails=[NotFound],
    )
    def get(self, query: Mapping[str, int], mailing_id: int) -> dict[str, Any]:
        """Show what a client is sent

        By the function that makes it when it is sent, of what is known of the client now. Of somebody whom the mailing
        is not for as well: the answer says so. Nothing is stored, and nothing is sent.
        """
        return previewing.preview(working(), mailing_id, query["client_id"])
