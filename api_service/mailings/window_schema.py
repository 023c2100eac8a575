"""A send window as requests and answers have it."""

from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from api_service.web.fields import TimeOfDay
from api_service.web.schema import BodySchema, described
from shared.domain.window import Window


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
