"""A filter of clients, as requests and answers have it: of mailings and of segments."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from api_service.web.fields import Label, Number, OperatorCode, Whole, Zone
from api_service.web.page import MAX_ID
from api_service.web.schema import BodySchema, described
from shared.domain import attributes
from shared.domain.attributes import MAX, MAX_NAME, MAX_NUMBER, MAX_VALUE, TOO_MANY
from shared.domain.filter import Exclusion, Filter, by_name, values_of
from shared.domain.segments import MAX_DEPTH, MAX_NAMED, MAX_SPELLED_OUT

MAX_FILTER = 1000
MAX_IMPORTS = 100
"""The launch reads all that these took of a part of the directory at a time."""

MAX_MAILINGS = 100
"""The launch looks for a message of each of these, for each client."""

NAME = {"minLength": 1, "maxLength": MAX_NAME, "pattern": r"^[^\u0000]*$"}
VALUE = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_VALUE, "pattern": r"^[^\u0000]*$"},
        {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
        {"type": "boolean"},
    ]
}
"""Of an attribute, in the document."""


class Values(fields.Dict):
    """Lists of values by the name of an attribute. Errors are by name as well, each cut to what a name may have."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"maxProperties": MAX, "propertyNames": NAME, **kwargs.pop("metadata", {})}
        values = fields.List(
            fields.Raw(metadata=VALUE), validate=validate.Length(1, MAX_FILTER), metadata=described("At least one.")
        )
        super().__init__(values=values, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be a JSON object.")
        if len(value) > MAX:
            raise ValidationError(TOO_MANY)
        found: dict[str, list[attributes.Value]] = {}
        faults: dict[str, list[str]] = {}
        for given, some in value.items():
            name = attributes.trimmed(given)
            fault = attributes.name_fault(name) or (TWICE if name in found else None) or _fault(some)
            if fault:
                faults[given[:MAX_NAME]] = [fault]
            else:
                found[name] = [attributes.trimmed(one) for one in some]
        if faults:
            raise ValidationError(faults)
        return by_name(found)

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return values_of(value)


TWICE = "Is given twice: names are the same but for blanks at their ends, or as they show."


def _fault(values: Any) -> str | None:
    if not isinstance(values, list):
        return "Must be a list of values."
    if not 1 <= len(values) <= MAX_FILTER:
        return f"Must have 1 to {MAX_FILTER} values; leave the name out where it does not matter."
    return next(filter(None, (attributes.value_fault(attributes.trimmed(one)) for one in values)), None)


def _ids(most: int, description: str, **more: Any) -> fields.Field[Any]:
    return fields.List(
        Number(strict=True, validate=validate.Range(1, MAX_ID)),
        load_default=list,
        validate=validate.Length(max=most),
        metadata=described(description, example=[], **more),
    )


class CriteriaSchema(BodySchema):
    operator_codes = fields.List(
        OperatorCode(),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=described("Clients with one of these operator codes.", example=["912", "926"]),
    )
    tags = fields.List(
        Label(validate=validate.Length(max=64)),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=described(
            "Clients with one of these tags; the empty string is that of clients without.", example=["vip"]
        ),
    )
    timezones = fields.List(
        Zone(),
        load_default=list,
        validate=validate.Length(max=MAX_FILTER),
        metadata=described("Clients of one of these time zones, each by its own name.", example=["Europe/Moscow"]),
    )
    attributes = Values(
        load_default=tuple,
        metadata=described(
            "Clients who have one of the values of every name. What a file brought is a string, and `3` is none.",
            example={"city": ["Omsk", "Tomsk"], "is_member": [True]},
        ),
    )
    segments = _ids(
        MAX_NAMED,
        "Clients who are in one of these segments, by their ids. Segments name each other at most"
        f" {MAX_DEPTH} deep, and spelled out they are at most {MAX_SPELLED_OUT} filters.",
    )
    imports = _ids(
        MAX_IMPORTS,
        "Clients whom one of these imports took, by their ids: all whose lines were not refused, whether or not"
        " those changed anything. An import is kept as long as a segment, or a mailing that has not started, names it.",
    )


class ExclusionSchema(CriteriaSchema):
    """Clients who match any list are left out; an empty one matches nobody."""

    mailings = _ids(
        MAX_MAILINGS,
        "Clients who got one of these mailings, by their ids, or may have got it, or are still to get it. Not of one"
        " whose messages are not kept any more.",
    )

    @post_load
    def _exclusion(self, data: dict[str, Any], **_: Any) -> Exclusion:
        return Exclusion(**data)


class FilterSchema(CriteriaSchema):
    """Clients that match every list; an empty one matches everybody."""

    exclude_ = Whole(  # what else a schema calls so is its own
        ExclusionSchema,
        load_default=Exclusion,
        data_key="exclude",
        attribute="exclude",
        metadata=described("Who is left out of these.", example={"tags": ["asleep"], "mailings": []}),
    )

    @post_load
    def _filter(self, data: dict[str, Any], **_: Any) -> Filter:
        return Filter(**data)


def for_audit(values: Mapping[str, Any]) -> dict[str, Any]:
    """A filter in JSON, with the number of an attribute's values in their place: one may be somebody's name."""
    told = {**values, "attributes": {name: len(some) for name, some in values["attributes"].items()}}
    return told | ({"exclude": for_audit(values["exclude"])} if "exclude" in values else {})
