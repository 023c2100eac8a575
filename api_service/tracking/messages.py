"""Single messages: by their id, of a client, of a phone, of a mailing."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response
from flask.views import MethodView
from marshmallow import ValidationError, fields, validate, validates_schema

from api_service.tracking import actions
from api_service.tracking import export as list_as_file
from api_service.tracking.actions import View
from api_service.tracking.in_common import Common
from api_service.tracking.schema import ERRORS, MESSAGE, ONE_MESSAGE, MessageSchema, OneMessageSchema, StandingSchema
from api_service.web import export
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.export import ExportSchema
from api_service.web.fields import Phone
from api_service.web.page import MAX_ID, After, Count, Listing, PageSchema, Part
from api_service.web.parts import working
from api_service.web.problems import NotFound
from api_service.web.schema import described, enumerated
from shared.domain.message import MessageState
from shared.domain.receipt import RECEIPTS
from shared.messages import export as export_of_messages

blueprint = Blueprint("Messages", "What became of a single message, and what somebody got.")

Answer = tuple[Sequence[View], dict[str, str]]

_FILTERS = ("status", *Common._fields)

COLUMNS = list(export_of_messages.COLUMNS)
EXPORTS = {
    "text/csv": f"\ufeff{','.join(COLUMNS)}\r\n"
    '1,1,79123456789,failed,rejected,"unknown subscriber",1,1,,,\r\n'
    '2,2,79123456780,sent,,,1,1,"2050-01-31T06:00:00.218374+00:00",,\r\n',
    "application/x-ndjson": '{"id":1,"client_id":1,"phone":"79123456789","status":"failed","error":"rejected",'
    '"provider_words":"unknown subscriber","attempts":1,"calls":1,"sent_at":null,"receipt":null,"receipt_at":null}\n',
}

_MAILING = path_id("mailing_id", "The id of the mailing.")
_CLIENT = path_id("client_id", "The id of the client.")


class ClientMessagesQuerySchema(ExportSchema, PageSchema):
    pass


class MessagesQuerySchema(ExportSchema, PageSchema):
    phone = Phone(metadata=described("What the client who has this phone now was ever sent."))
    mailing_id = Count(
        validate=validate.Range(1, MAX_ID), metadata=described("The messages of this mailing, in place of a client's.")
    )
    status = fields.Enum(
        MessageState,
        by_value=fields.String,
        metadata=enumerated("MessageState", "Only messages in this state; together with `mailing_id`."),
    )
    error = fields.String(
        validate=validate.OneOf(ERRORS),
        metadata=enumerated(
            "MessageError",
            "Only messages whose last attempt did not succeed for this reason, or that are skipped for it; together"
            " with `mailing_id`.",
            enum=list(ERRORS),
        ),
    )
    receipt = fields.String(
        validate=validate.OneOf(RECEIPTS),
        metadata=enumerated(
            "ReceiptFigure",
            "Only messages that this figure of the `receipts` of the statistics counts; together with `mailing_id`.",
            enum=list(RECEIPTS),
        ),
    )

    @validates_schema
    def _of_one(self, data: dict[str, Any], **_: Any) -> None:
        if ("phone" in data) == ("mailing_id" in data):
            raise ValidationError("Give this, or mailing_id: one of them.", "phone")
        given = [name for name in _FILTERS if name in data]
        if given and "mailing_id" not in data:
            raise ValidationError("Goes with mailing_id.", given[0])
        if len(given) > 1:
            raise ValidationError(f"Cannot be together with {given[0]}.", given[1])
        if given and given[0] in Common._fields and "page" in data:
            raise ValidationError(f"With {given[0]} there are no numbers of pages: use after_id.", "page")


@blueprint.route("/messages/")
class Messages(MethodView):
    @blueprint.operation(
        "listMessages",
        query=MessagesQuerySchema,
        answer=MessageSchema(many=True),
        gives=[MESSAGE],
        exports=EXPORTS,
        fails=[NotFound],
    )
    def get(self, query: Mapping[str, Any]) -> Answer | Response:
        """Find messages

        By `phone`: what the client who has it now was ever sent, the latest mailings first; nothing where nobody has
        it. Or by `mailing_id`: those of a mailing, in the order of ids, all or with one `status`, `error` or `receipt`.

        Those with an `error` or a `receipt` are not counted, and no index leads to them: they are looked for from
        `after_id` on, for a second at the most. A part may have fewer than `page_size`, or none: as long as there is a
        header `Link`, it leads to where the search goes on.

        As a file (`format`) each has id, client, phone, status, error, the provider's words, attempts, calls, when it
        was sent, and the provider's receipt, where there is one; those of a mailing with a personal text have `text` as
        well.
        """
        if form := export.wanted(query):
            if "phone" in query:
                pages = list_as_file.of_phone(working(), query["phone"], export.style(form))
                return export.as_file(form, "messages", COLUMNS, pages)
            mailing_id = query["mailing_id"]
            wanted = list_as_file.Wanted(query.get("status"), _common(query))
            columns, pages = list_as_file.of_mailing(working(), mailing_id, wanted, export.style(form))
            return export.as_file(form, f"messages-of-mailing-{mailing_id}", columns, pages)
        listing = _listed(query, query["part"])
        return listing.rows, listing.headers()


def _listed(query: Mapping[str, Any], part: Part) -> Listing[View]:
    if "phone" in query:
        return actions.list_of_phone(working(), query["phone"], part)
    if any(common := _common(query)):
        after = part if isinstance(part, After) else After(0, part.size)
        return actions.list_of_common(working(), query["mailing_id"], common, after)
    return actions.list_of_mailing(working(), query["mailing_id"], query.get("status"), part)


def _common(query: Mapping[str, Any]) -> Common:
    return Common(query.get("error"), query.get("receipt"))


@blueprint.route("/messages/<id:message_id>/", parameters=[path_id("message_id", "The id of the message.")])
class OneMessage(MethodView):
    @blueprint.operation("getMessage", answer=OneMessageSchema, gives=ONE_MESSAGE, fails=[NotFound])
    def get(self, message_id: int) -> View:
        """Look up a message

        With its text, every attempt, and what the provider said each time.
        """
        return actions.find(working(), message_id)


@blueprint.route("/clients/<id:client_id>/messages/", parameters=[_CLIENT])
class ClientMessages(MethodView):
    @blueprint.operation(
        "listClientMessages",
        query=ClientMessagesQuerySchema,
        answer=MessageSchema(many=True),
        gives=[MESSAGE],
        exports=EXPORTS,
        fails=[NotFound],
    )
    def get(self, query: Mapping[str, Any], client_id: int) -> Answer | Response:
        """List the messages of a client

        Over all mailings that their messages are kept of, the latest ones first. Of a client who was deleted as well.
        """
        if form := export.wanted(query):
            pages = list_as_file.of_client(working(), client_id, export.style(form))
            return export.as_file(form, f"messages-of-client-{client_id}", COLUMNS, pages)
        listing = actions.list_of_client(working(), client_id, query["part"])
        return listing.rows, listing.headers()


@blueprint.route("/mailings/<id:mailing_id>/clients/<id:client_id>/", parameters=[_MAILING, _CLIENT])
class Standing(MethodView):
    @blueprint.operation(
        "getClientOfMailing",
        answer=StandingSchema,
        gives={
            "mailing_id": 1,
            "client_id": 1,
            "message": None,
            "reason": "not_matched",
            "unmatched": ["tags"],
            "explanation": "The mailing is not for them: it is for the tag “vip”, and theirs is “regular”.",
        },
        fails=[NotFound],
    )
    def get(self, mailing_id: int, client_id: int) -> View:
        """Ask why a client has a message, or none

        The message of a client of a mailing and why it stands where it does; or why there is none.
        """
        return actions.standing(working(), mailing_id, client_id)
