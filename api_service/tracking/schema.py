"""A message as answers have it."""

from typing import Any

from marshmallow import Schema, fields

from api_service.tracking.absence import Absence
from api_service.web.fields import Moment
from api_service.web.schema import described, enumerated
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import ReceiptState

_MEANINGS = "Where it stands. " + "; ".join(f"`{state}`: {state.meaning}" for state in MessageState) + "."
_REASONS = "Why there is none. " + "; ".join(f"`{absence}`: {absence.meaning}" for absence in Absence) + "."
_RECEIPTS = (
    "What the provider has said since, which changes no status. "
    + "; ".join(f"`{state}`: {state.meaning}" for state in ReceiptState)
    + ". Null: it has said nothing."
)
_WORDS = "What the provider said with the last attempt that did not succeed, at most 300 bytes; null: nothing."

ERRORS = (*map(str, Error), *map(str, Reason))


def error_field(description: str) -> fields.String:
    metadata = enumerated("MessageError", description, enum=[*ERRORS, None])
    return fields.String(required=True, allow_none=True, metadata=metadata)


class MessageSchema(Schema):
    id = fields.Integer(required=True, metadata=described("The provider knows the message by this number.", example=1))
    mailing_id = fields.Integer(required=True, metadata=described("The mailing that it is of.", example=1))
    client_id = fields.Integer(
        required=True, metadata=described("The client; they may have been deleted since.", example=1)
    )
    phone = fields.String(
        required=True,
        allow_none=True,
        metadata=described(
            "Where it goes, or went: it follows the client's until the first call. Null: that was not kept.",
            example="79123456789",
        ),
    )
    status = fields.Enum(
        MessageState, by_value=fields.String, required=True, metadata=enumerated("MessageState", _MEANINGS)
    )
    calls = fields.Integer(required=True, metadata=described("Calls of the provider.", example=1))
    attempts = fields.Integer(
        required=True,
        metadata=described(
            "Those of them that are spent: the provider may have taken the message, or served others and not this one.",
            example=1,
        ),
    )
    error = error_field("Why the last attempt did not succeed, or why it is skipped; null if it did.")
    provider_words = fields.String(required=True, allow_none=True, metadata=described(_WORDS))
    sent_at = Moment(
        required=True, allow_none=True, metadata=described("When the provider had accepted it; null if it has not.")
    )
    due_at = Moment(
        required=True,
        allow_none=True,
        metadata=described("When it is looked at again if nothing else happens; null once it is final."),
    )

    receipt = fields.Enum(
        ReceiptState,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata=enumerated("ReceiptState", _RECEIPTS, enum=[*map(str, ReceiptState), None]),
    )
    receipt_at = Moment(
        required=True,
        allow_none=True,
        metadata=described("When that happened, as the provider says; else when it came. Null: it has said nothing."),
    )
    receipt_reason = fields.String(
        required=True, allow_none=True, metadata=described("Why, in the provider's words; null: it does not say.")
    )


class AttemptSchema(Schema):
    number = fields.Integer(required=True, metadata=described("Of the attempt, counted from 1.", example=1))
    at = Moment(required=True, metadata=described("When the provider had answered, or was given up."))
    error = error_field("Why it did not succeed; null: the provider accepted the message.")
    provider_words = fields.String(
        required=True, allow_none=True, metadata=described("What the provider said with it; null: nothing.")
    )


class OneMessageSchema(MessageSchema):
    text = fields.String(
        required=True,
        allow_none=True,
        metadata=described(
            "What the provider is given, from the first call on; a personal one from the claim on, which comes before"
            " it. Null: there was none yet, or it is not kept any more.",
            example="The doors open at noon.",
        ),
    )
    attempts_made = fields.List(
        fields.Nested(AttemptSchema),
        required=True,
        metadata=described(
            "Every attempt, the first one first; of very many the newest. A call that is not held against the message,"
            " because the provider served nobody or asked to wait, is none, unless the message ended by it."
        ),
    )


class StandingSchema(Schema):
    """Where a client stands with a mailing."""

    mailing_id = fields.Integer(required=True, metadata=described("The mailing.", example=1))
    client_id = fields.Integer(required=True, metadata=described("The client.", example=1))
    message = fields.Nested(
        OneMessageSchema, required=True, allow_none=True, metadata=described("Their message; null: there is none.")
    )
    reason = fields.Enum(
        Absence,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata=enumerated("NoMessageReason", f"{_REASONS} Null: there is one.", enum=[*map(str, Absence), None]),
    )
    unmatched = fields.List(
        fields.String(),
        required=True,
        metadata=described(
            "While there is no message: the members of the mailing's filter that the client, as they are now, does not"
            " match.",
            example=[],
        ),
    )
    explanation = fields.String(required=True, metadata=described("The same for people, in a sentence or two."))


MESSAGE: dict[str, Any] = {
    "id": 1,
    "mailing_id": 1,
    "client_id": 1,
    "phone": "79123456789",
    "status": "retrying",
    "calls": 1,
    "attempts": 1,
    "error": "server_error",
    "provider_words": "temporarily out of order",
    "sent_at": None,
    "due_at": "2050-01-31T06:00:35.412003+00:00",
    "receipt": None,
    "receipt_at": None,
    "receipt_reason": None,
}
"""For the document."""

ONE_MESSAGE = MESSAGE | {
    "text": "The doors open at noon.",
    "attempts_made": [
        {
            "number": 1,
            "at": "2050-01-31T06:00:30.412003+00:00",
            "error": "server_error",
            "provider_words": "temporarily out of order",
        }
    ],
}
