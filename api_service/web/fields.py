"""The kinds of values that travel in request and answer bodies."""

import re
from datetime import UTC, datetime, time
from typing import Any

from marshmallow import ValidationError, fields

from shared.domain import timezones
from shared.domain.text.shown import label

YEARS = range(2000, 2101)

_MOMENT = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}(?::?[0-5][0-9])?)?"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Text(fields.String):
    """A string that PostgreSQL and every text encoding can hold."""

    default_error_messages = {  # noqa: RUF012 - marshmallow merges these along the classes
        "invalid": "Must be a string.",
        "characters": "Must not contain NUL characters or unpaired surrogates.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": r"^[^\u0000]*$", **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if "\0" in value or (not value.isascii() and _SURROGATE.search(value)):
            raise self.make_error("characters")
        return value


class Number(fields.Integer):
    """A whole number, also one with a point, as in 7.0: to JSON Schema, and so to the document, it is one."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return super()._deserialize(value, *args, **kwargs)


class Flag(fields.Boolean):
    """True or false, and nothing that may stand for them elsewhere."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Label(Text):
    """A word by which things are told apart, as it is kept: trimmed, in the Unicode form NFC."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return label(super()._deserialize(value, *args, **kwargs))


class Shaped(Text):
    """A string of ASCII characters that matches a pattern as a whole; `message` says what it must look like."""

    def __init__(self, shape: str, message: str, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": f"^{shape}$", **kwargs.pop("metadata", {})}, **kwargs)
        self._shape = re.compile(shape)
        self._message = message

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if not self._shape.fullmatch(text):
            raise ValidationError(self._message)
        return text


class OperatorCode(Shaped):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__("[0-9]{3}", "Must be three digits.", **kwargs)


class Phone(Shaped):
    """`"7XXXXXXXXXX"` outside, an integer inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("7[0-9]{10}", "Must be 11 digits, the first of them 7.", **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return int(super()._deserialize(value, *args, **kwargs))

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return str(value)


def operator_code(phone: int) -> str:
    """The one that a client has unless another is given: the number was issued with it."""
    return str(phone)[1:4]


class TimeOfDay(Shaped):
    """`"HH:MM"` outside, a naive `time` inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("([01][0-9]|2[0-3]):[0-5][0-9]", "Must be a time of day such as 09:00.", **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return time.fromisoformat(super()._deserialize(value, *args, **kwargs))

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.strftime("%H:%M")


class Zone(Text):
    """The IANA name of a time zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"format": "iana-time-zone", **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        name = super()._deserialize(value, *args, **kwargs)
        try:
            return timezones.zone(name).key
        except ValueError as error:
            raise ValidationError("Must be an IANA time zone such as Europe/Moscow.") from error


class Moment(fields.AwareDateTime):
    """An ISO 8601 date and time with an offset outside, an aware `datetime` in UTC inside."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "Must be an ISO 8601 date and time such as 2026-01-31T09:00:00+03:00.",
        "naive": "Must have an offset from UTC, such as Z or +03:00.",
        "year": f"Must lie in the years {YEARS[0]} to {YEARS[-1]}.",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self.make_error("invalid")
        if match[2] is None:
            raise self.make_error("naive")
        if int(match[1]) not in YEARS:
            raise self.make_error("year")
        try:
            moment = datetime.fromisoformat(match[0]).astimezone(UTC)
        except ValueError as error:
            raise self.make_error("invalid") from error
        if moment.year not in YEARS:  # answers are in UTC, and what we answer we must take
            raise self.make_error("year")
        return moment

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return None if value is None else value.astimezone(UTC).isoformat()


class Whole(fields.Nested):
    """An object that is always given whole, also where its surroundings may be given in part."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return super()._deserialize(value, attr, data, **{**kwargs, "partial": False})
