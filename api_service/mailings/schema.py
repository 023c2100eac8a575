"""A mailing as requests and answers have it."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from api_service.mailings.rules import Filter
from api_service.web.fields import Moment, OperatorCode, Text, TimeOfDay, Whole
from api_service.web.figures import FiguresSchema
from api_service.web.schema import BodySchema, described
from shared.domain.mailing import MailingState
from shared.domain.window import Window

MAX_FILTER = 1000


class FilterSchema(BodySchema):
    """Clients that match both lists; an empty one matches everybody."""

    operator_codes = fields.List(
        OperatorCode(),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=described("Clients with one of these operator codes.", example=["912", "926"]),
    )
    tags = fields.List(
        Text(validate=validate.Length(max=64)),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=described(
            "Clients with one of these tags; the empty string is that of clients without.", example=["vip"]
        ),
    )

    @post_load
    def _filter(self, data: dict[str, Any], **_: Any) -> Filter:
        return Filter(**{name: tuple(sorted(set(values))) for name, values in data.items()})


class WindowSchema(BodySchema):
    """The part of a client's day in which he may be reached, by his own clock; it may wrap over midnight."""

    start = TimeOfDay(data_key="from", required=True, metadata=described("Open from this minute on.", example="09:00"))
    end = TimeOfDay(data_key="until", required=True, metadata=described("Closed from this minute on.", example="21:00"))

    @validates_schema
    def _not_empty(self, data: dict[str, Any], **_: Any) -> None:
        if data["start"] == data["end"]:
            raise ValidationError("Must differ from `from`.", "until")

    @post_load
    def _window(self, data: dict[str, Any], **_: Any) -> Window:
        return Window(**data)


class MailingSchema(BodySchema):
    id = fields.Integer(dump_only=True, required=True, metadata=described("Given by the service.", example=1))
    text = Text(
        required=True,
        validate=validate.Length(1, 2000),
        metadata=described(
            "What is sent, 1 to 2000 characters. Frozen at the launch.", example="The doors open at noon."
        ),
    )
    starts_at = Moment(
        required=True,
        metadata=described(
            "When it is launched; at once where that has passed. With an offset from UTC. Frozen at the launch.",
            example="2050-01-31T09:00:00+03:00",
        ),
    )
    ends_at = Moment(
        required=True,
        metadata=described(
            "Nothing is sent from this moment on. Later than `starts_at` and in the future.",
            example="2050-01-31T21:00:00+03:00",
        ),
    )
    filter = Whole(
        FilterSchema,
        load_default=Filter,
        metadata=described("Whom it is for; everybody where it is left out. Given whole. Frozen at the launch."),
    )
    send_window = Whole(
        WindowSchema,
        allow_none=True,
        load_default=lambda: None,
        metadata=described("Hours of the client's day in which it may reach him; null: at any hour. Given whole."),
    )
    state = fields.Enum(
        MailingState,
        by_value=fields.String,
        dump_only=True,
        required=True,
        metadata=described("Follows from the times and actions."),
    )
    created_at = Moment(dump_only=True, required=True, metadata=described("When it was stored."))
    statistics = fields.Nested(
        FiguresSchema, dump_only=True, required=True, metadata=described("Where its messages stand.")
    )
