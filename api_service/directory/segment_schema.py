"""A segment as requests and answers have it."""

from enum import StrEnum
from typing import Any

from marshmallow import fields, validate

from api_service.web.fields import Label, Moment, Whole
from api_service.web.filters import FilterSchema
from api_service.web.page import PageSchema
from api_service.web.schema import ThingSchema, described, enumerated

COUNT_SECONDS = 5
"""For so long the clients of a segment are counted at the most."""


class UncountedBecause(StrEnum):
    TIME = "time"  # it took too long
    ROWS_GONE = "rows_gone"  # nobody can say any more who got a mailing


def _name(**more: Any) -> Label:
    return Label(validate=validate.Length(1, 64), **more)


class SegmentSchema(ThingSchema):
    """A segment without its count."""

    id = fields.Integer(dump_only=True, metadata=described("Given by the service, never given again.", example=1))
    name = _name(
        required=True,
        metadata=described(
            "What people call it, 1 to 64 characters, without blanks at its ends.", example="Regulars of Omsk"
        ),
    )
    filter = Whole(
        FilterSchema,
        required=True,
        metadata=described(
            "Who is in it: of those in the directory at the moment that it is asked. Given whole.",
            example={"attributes": {"city": ["Omsk", "Tomsk"]}, "exclude": {"tags": ["new"]}},
        ),
    )
    revision = fields.Integer(
        dump_only=True,
        metadata=described("Counts the changes of what users can set; `ETag` is made of it.", example=1),
    )
    created_at = Moment(
        dump_only=True, metadata=described("When it was stored.", example="2050-01-30T14:21:07.123456+00:00")
    )


class CountedSegmentSchema(SegmentSchema):
    count = fields.Integer(
        dump_only=True,
        allow_none=True,
        metadata=described(
            f"How many clients are in it now. Null: not counted within {COUNT_SECONDS} seconds, or not to be counted.",
            example=1042,
        ),
    )
    uncounted_because = fields.Enum(
        UncountedBecause,
        by_value=fields.String,
        dump_only=True,
        allow_none=True,
        metadata=enumerated(
            "UncountedBecause",
            f"Where `count` is null: `time`, counting was given up after {COUNT_SECONDS} seconds; `rows_gone`, it"
            " leaves out who got a mailing whose messages are not kept any more.",
            example=None,
        ),
    )


class SegmentsQuerySchema(PageSchema):
    name = _name(metadata=described("Only segments of this name."))
