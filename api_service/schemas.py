"""The bodies of requests and answers, and the queries of lists."""

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from api_service.fields import Moment, OperatorCode, Phone, Text, TimeOfDay, Whole, Zone, operator_code
from api_service.imports import LISTED, ImportState
from api_service.key import Scope
from api_service.mailing_rules import Filter
from api_service.page import PageSchema
from api_service.parts import parts
from shared.domain.mailing import MailingState
from shared.domain.message import Error, MessageState
from shared.domain.window import Window

MAX_FILTER = 1000


def _about(description: str, **more: object) -> dict[str, object]:
    return {"description": description, **more}


class BodySchema(Schema):
    """A JSON object; what it does not know it refuses."""

    class Meta:
        unknown = RAISE

    error_messages = {"type": "Must be a JSON object.", "unknown": "Unknown field."}  # noqa: RUF012


class ClientSchema(BodySchema):
    id = fields.Integer(
        dump_only=True, required=True, metadata=_about("Given by the service, never given again.", example=1)
    )
    phone = Phone(
        required=True,
        metadata=_about("11 digits, the first of them 7. No two clients share one.", example="79123456789"),
    )
    operator_code = OperatorCode(
        metadata=_about(
            "Three digits; digits 2 to 4 of the phone where it is left out. Only the shape is checked: the numbering"
            " plan changes every month, and a number that moved to another operator keeps its digits.",
            example="912",
        )
    )
    tag = Text(
        load_default=lambda: "",
        validate=validate.Length(max=64),
        metadata=_about("Any label, at most 64 characters; empty where it is left out.", example="vip"),
    )
    timezone = Zone(
        load_default=lambda: parts().default_timezone,
        metadata=_about(
            "The IANA name of the client's time zone; that of DEFAULT_TIMEZONE where it is left out.",
            example="Europe/Moscow",
        ),
    )

    @post_load
    def _default_operator_code(self, data: dict[str, Any], partial: bool | None, **_: Any) -> dict[str, Any]:
        if not partial:
            data.setdefault("operator_code", operator_code(data["phone"]))
        return data


class LineErrorSchema(Schema):
    line = fields.Integer(metadata=_about("Its number, counted from 1.", example=3))
    errors = fields.Dict(
        metadata=_about("What is wrong with it: lists of sentences by field, `_schema` for the line as a whole.")
    )


class ImportSchema(Schema):
    id = fields.Integer(metadata=_about("Given by the service.", example=1))
    name = fields.String(metadata=_about("The one it was given in the query, or empty.", example="crm-2050-01-31"))
    state = fields.Enum(
        ImportState,
        by_value=fields.String,
        metadata=_about(
            "`running`; `finished`: the whole file was read; `broken`: it ended before the file did, and what had been"
            " taken stays. One whose process died is broken after two minutes."
        ),
    )
    started_at = Moment(metadata=_about("When its first line was there."))
    ended_at = Moment(allow_none=True, metadata=_about("Null while it runs, and if its process died."))
    failure = fields.String(allow_none=True, metadata=_about("Why it is broken; null otherwise."))
    lines = fields.Integer(metadata=_about("Lines taken or refused by now; the sum of the following three.", example=3))
    created = fields.Integer(metadata=_about("Lines that added a client.", example=1))
    updated = fields.Integer(
        metadata=_about("Lines about a client who was there already, whether or not they changed anything.", example=1)
    )
    refused = fields.Integer(metadata=_about("Lines that were not valid.", example=1))
    errors = fields.List(
        fields.Nested(LineErrorSchema),
        metadata=_about(f"The first {LISTED} refused lines; `refused` counts all of them."),
    )


class ImportName(Text):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(1, 64), **kwargs)


class ImportQuerySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    name = ImportName(
        load_default="",
        metadata=_about("Any name for this import, at most 64 characters, to find it by while it runs."),
    )


class ImportsQuerySchema(PageSchema):
    name = ImportName(load_default=None, metadata=_about("Only imports that were given this name."))


class FilterSchema(BodySchema):
    """Clients that match both lists; an empty one matches everybody."""

    operator_codes = fields.List(
        OperatorCode(),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=_about("Clients with one of these operator codes.", example=["912", "926"]),
    )
    tags = fields.List(
        Text(validate=validate.Length(max=64)),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=_about(
            "Clients with one of these tags; the empty string is that of clients without.", example=["vip"]
        ),
    )

    @post_load
    def _filter(self, data: dict[str, Any], **_: Any) -> Filter:
        return Filter(**{name: tuple(sorted(set(values))) for name, values in data.items()})


class WindowSchema(BodySchema):
    """The part of a client's day in which he may be reached, by his own clock; it may wrap over midnight."""

    start = TimeOfDay(data_key="from", required=True, metadata=_about("Open from this minute on.", example="09:00"))
    end = TimeOfDay(data_key="until", required=True, metadata=_about("Closed from this minute on.", example="21:00"))

    @validates_schema
    def _not_empty(self, data: dict[str, Any], **_: Any) -> None:
        if data["start"] == data["end"]:
            raise ValidationError("Must differ from `from`.", "until")

    @post_load
    def _window(self, data: dict[str, Any], **_: Any) -> Window:
        return Window(**data)


_AUDIENCE = fields.Integer(required=True, metadata=_about("Clients that matched when the mailing started.", example=3))
_COUNTS: dict[str, fields.Field[Any]] = {"audience": _AUDIENCE}
_COUNTS |= {
    str(state): fields.Integer(
        required=True, metadata=_about(f"Messages {state.meaning}.", example=int(state is MessageState.SENT) * 3)
    )
    for state in MessageState
}

FiguresSchema = Schema.from_dict(_COUNTS, name="Figures")
"""The ledger: `audience` is the sum of all the others, at every moment."""


class MailingSchema(BodySchema):
    id = fields.Integer(dump_only=True, required=True, metadata=_about("Given by the service.", example=1))
    text = Text(
        required=True,
        validate=validate.Length(1, 2000),
        metadata=_about("What is sent, 1 to 2000 characters. Frozen at the launch.", example="The doors open at noon."),
    )
    starts_at = Moment(
        required=True,
        metadata=_about(
            "When it is launched; at once where that has passed. With an offset from UTC. Frozen at the launch.",
            example="2050-01-31T09:00:00+03:00",
        ),
    )
    ends_at = Moment(
        required=True,
        metadata=_about(
            "Nothing is sent from this moment on. Later than `starts_at` and in the future.",
            example="2050-01-31T21:00:00+03:00",
        ),
    )
    filter = Whole(
        FilterSchema,
        load_default=Filter,
        metadata=_about("Whom it is for; everybody where it is left out. Given whole. Frozen at the launch."),
    )
    send_window = Whole(
        WindowSchema,
        allow_none=True,
        load_default=lambda: None,
        metadata=_about("Hours of the client's day in which it may reach him; null: at any hour. Given whole."),
    )
    state = fields.Enum(
        MailingState,
        by_value=fields.String,
        dump_only=True,
        required=True,
        metadata=_about("Follows from the times and actions."),
    )
    created_at = Moment(dump_only=True, required=True, metadata=_about("When it was stored."))
    statistics = fields.Nested(
        FiguresSchema, dump_only=True, required=True, metadata=_about("Where its messages stand.")
    )


_OF_MAILING: dict[str, fields.Field[Any]] = {
    "mailing_id": fields.Integer(required=True, metadata=_about("The mailing.", example=1)),
    "state": fields.Enum(MailingState, by_value=fields.String, required=True, metadata=_about("Of the mailing.")),
}

MailingFiguresSchema = Schema.from_dict(
    {
        **_OF_MAILING,
        "starts_at": Moment(required=True, metadata=_about("When it was, or will be, launched.")),
        "ends_at": Moment(required=True, metadata=_about("Nothing is sent from this moment on.")),
        **_COUNTS,
    },
    name="MailingFigures",
)

GeneralStatisticsSchema = Schema.from_dict(
    {
        **_COUNTS,
        "mailings": fields.List(
            fields.Nested(MailingFiguresSchema), required=True, metadata=_about("One page of them.")
        ),
    },
    name="GeneralStatistics",
)


_MEANINGS = "Where it stands. " + "; ".join(f"`{state}`: {state.meaning}" for state in MessageState) + "."


class MessageSchema(Schema):
    id = fields.Integer(required=True, metadata=_about("The provider knows the message by this number.", example=1))
    client_id = fields.Integer(required=True, metadata=_about("The client; he may have been deleted since.", example=1))
    status = fields.Enum(MessageState, by_value=fields.String, required=True, metadata=_about(_MEANINGS))
    attempts = fields.Integer(required=True, metadata=_about("Calls of the provider that count.", example=1))
    error = fields.String(
        required=True,
        allow_none=True,
        metadata=_about("Why the last attempt did not succeed; null if it did.", enum=[*map(str, Error), None]),
    )
    sent_at = Moment(
        required=True, allow_none=True, metadata=_about("When the provider had accepted it; null if it has not.")
    )
    due_at = Moment(
        required=True,
        allow_none=True,
        metadata=_about("When it is looked at again if nothing else happens; null once it is final."),
    )


DetailStatisticsSchema = Schema.from_dict(
    {
        **_OF_MAILING,
        **_COUNTS,
        "errors": fields.Dict(
            keys=fields.String(),
            values=fields.Integer(),
            required=True,
            metadata=_about("Attempts that did not succeed, by kind.", example={"server_error": 2}),
        ),
        "repeated": fields.Integer(
            required=True,
            metadata=_about(
                "Calls for a message that the provider may have had already, because an answer was lost: so many"
                " clients, at most, got it twice.",
                example=0,
            ),
        ),
        "first_sent_at": Moment(required=True, allow_none=True, metadata=_about("Null while nothing is sent.")),
        "last_sent_at": Moment(required=True, allow_none=True, metadata=_about("Null while nothing is sent.")),
        "messages_removed_at": Moment(
            required=True,
            allow_none=True,
            metadata=_about(
                "Since when the messages themselves are not kept any more, RETENTION_DAYS after the mailing had finished:"
                " `messages` is empty, and every figure stays. Null while they are."
            ),
        ),
        "messages": fields.List(fields.Nested(MessageSchema), required=True, metadata=_about("One page of them.")),
    },
    name="DetailStatistics",
)


class DetailQuerySchema(PageSchema):
    status = fields.Enum(
        MessageState,
        by_value=fields.String,
        load_default=None,
        metadata=_about("Only messages that are in this state."),
    )


class KeySchema(Schema):
    id = fields.String(metadata=_about("The public part of the key; log lines have it too.", example="0f3a9c21b7de"))
    name = fields.String(metadata=_about("Whose it is.", example="shop"))
    scope = fields.String(metadata=_about("What it may do.", enum=[str(scope) for scope in Scope], example="write"))
    created_at = Moment(metadata=_about("When it was made."))
    expires_at = Moment(allow_none=True, metadata=_about("It opens nothing from then on; null: it does not expire."))
    revoked_at = Moment(allow_none=True, metadata=_about("When it was revoked; null: it was not."))
    last_used_at = Moment(
        allow_none=True, metadata=_about("When it was used last, to a minute or two; null: it was not used yet.")
    )


class ErrorSchema(Schema):
    """Every error answer of the service."""

    code = fields.Integer(required=True, metadata=_about("The HTTP status.", example=404))
    status = fields.String(required=True, metadata=_about("Its name.", example="Not Found"))
    message = fields.String(
        required=True, metadata=_about("What is wrong, for people.", example="There is no client 1.")
    )
    errors = fields.Dict(
        required=True,
        metadata=_about(
            "Where it is wrong: lists of sentences by place (`json`, `query`, `header` of a file) and field; empty"
            " where no field is to blame."
        ),
    )


class LiveSchema(Schema):
    status = fields.String(required=True, metadata=_about("Always `ok`.", example="ok"))


class ReadySchema(Schema):
    database = fields.String(required=True, metadata=_about("Always `ok`.", example="ok"))
    broker = fields.String(required=True, metadata=_about("Always `ok`.", example="ok"))
