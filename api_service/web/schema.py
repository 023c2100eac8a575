"""What the schemas of all rooms share. A thing is described once, and its requests and answers follow from that.

class ClientSchema(ThingSchema)      every field; what users cannot set is `dump_only`

new(ClientSchema)           POST     "NewClient"          no read-only members: they are refused
replacement(ClientSchema)   PUT      "ClientReplacement"  takes what GET gave: read-only members are ignored
changes(ClientSchema)       PATCH    "ClientChanges"      nothing is required

A field that is `set_once` is read-only from the creation on.
answer(ClientSchema)        answers  "Client"             every member is there, but what is only taken (`load_only`)
"""

import copy
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, post_load

from api_service.web.parts import asked
from api_service.web.problems import TYPES


def described(description: str, **more: object) -> dict[str, object]:
    """The metadata of a field, for the document. more: such as `example`."""
    return {"description": description, **more}


def enumerated(name: str, description: str, **more: object) -> dict[str, object]:
    """The same of a field with a closed list of values, which the document names so wherever it is used."""
    return described(description, **{"x-enum": name}, **more)


def set_once(description: str, **more: object) -> dict[str, object]:
    """The metadata of a field that users set when they create the thing, and never again."""
    return described(f"{description} Set at the creation only.", **_SET_ONCE, **more)


_SET_ONCE = {"x-set": "at creation"}


class BodySchema(Schema):
    """A JSON object; what it does not know it refuses."""

    class Meta:
        unknown = RAISE

    error_messages = {"type": "Must be a JSON object.", "unknown": "Unknown field."}  # noqa: RUF012


class ThingSchema(BodySchema):
    """A thing that has an id and that users can set. title: of a schema that is made of another one."""

    title: str | None = None


Kind = type[ThingSchema]


def new(kind: Kind) -> ThingSchema:
    return _titled(kind(exclude=read_only(kind)), f"New{named(kind)}")


def changes(kind: Kind) -> ThingSchema:
    return _titled(kind(exclude=_unchanging(kind), partial=True), f"{named(kind)}Changes")


def replacement(kind: Kind) -> ThingSchema:
    ignored = _unchanging(kind) - {"id"}
    members: dict[str, Any] = {
        one: fields.Raw(allow_none=True, metadata=described("Ignored.")) for one in sorted(ignored)
    }
    members["id"] = fields.Raw(
        validate=_is_asked_for, metadata=described("Ignored where it is that of the address; else it is 422.")
    )
    replacing = type(f"{named(kind)}ReplacementSchema", (kind,), members | {"_drop": post_load(_drop)})
    return _titled(replacing(), f"{named(kind)}Replacement")


def answer(kind: type[Schema], **options: Any) -> Schema:
    """options: of the schema, such as `many`."""
    answering = _ANSWERS.get(kind)
    if answering is None:
        members = {one: _always(field) for one, field in kind._declared_fields.items() if not field.load_only}
        answering = _ANSWERS[kind] = type(kind.__name__, (Schema,), members | {"__doc__": kind.__doc__})
    return answering(**options)


_ANSWERS: dict[type[Schema], type[Schema]] = {}  # the document has one of each


def named(kind: type[Schema]) -> str:
    return kind.__name__.removesuffix("Schema")


def settable(kind: Kind) -> frozenset[str]:
    """The fields that users can set."""
    return frozenset(one for one, field in kind._declared_fields.items() if not field.dump_only)


def read_only(kind: Kind) -> frozenset[str]:
    return frozenset(kind._declared_fields.keys() - settable(kind))


def sent_example(kind: type[Schema]) -> dict[str, Any]:
    """A request: the examples of the fields that users can set."""
    return {
        field.data_key or one: _example(field) for one, field in kind._declared_fields.items() if not field.dump_only
    }


def given_example(kind: Kind, **more: Any) -> dict[str, Any]:
    """The answer to that request. more: members with other values."""
    sent: Mapping[str, Any] = kind().dump(kind(exclude=read_only(kind)).load(sent_example(kind)))
    return {one: sent.get(one, _example(field)) for one, field in kind._declared_fields.items()} | more


def _unchanging(kind: Kind) -> frozenset[str]:
    """The fields that users cannot set once it is there."""
    fixed = {one for one, field in kind._declared_fields.items() if field.metadata.items() >= _SET_ONCE.items()}
    return read_only(kind) | fixed


def _example(field: fields.Field[Any]) -> Any:
    if isinstance(field, fields.Nested) and "example" not in field.metadata:
        return sent_example(type(field.schema))
    return field.metadata["example"]


def _always(field: fields.Field[Any]) -> fields.Field[Any]:
    """The same field where it is never left out."""
    always = copy.copy(field)
    always.required, always.load_default, always.dump_only = True, missing, False
    return always


def _titled(schema: ThingSchema, title: str) -> ThingSchema:
    schema.title = title
    return schema


def _is_asked_for(value: Any) -> None:
    if type(value) is not int or [value] != list((asked().view_args or {}).values()):
        raise ValidationError("Must be that of the address.")


def _drop(self: ThingSchema, data: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {one: value for one, value in data.items() if not isinstance(self.fields[one], fields.Raw)}


class ErrorSchema(Schema):
    """Every error answer of the service."""

    type = fields.String(
        required=True,
        metadata=enumerated(
            "ErrorType", "What is wrong, for programs: one of a closed list.", enum=list(TYPES), example="not-found"
        ),
    )
    code = fields.Integer(required=True, metadata=described("The HTTP status.", example=404))
    status = fields.String(required=True, metadata=described("Its name.", example="Not Found"))
    message = fields.String(
        required=True, metadata=described("What is wrong, for people.", example="There is no client 1.")
    )
    errors = fields.Dict(
        required=True,
        metadata=described(
            "Where it is wrong: lists of sentences by place (`json`, `query`, `header` of a file) and field; empty"
            " where no field is to blame."
        ),
    )
