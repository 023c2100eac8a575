"""A client as requests and answers have them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, pre_load, validate

from api_service.directory.attributes import FILTER, Attributes, wanted
from api_service.web.export import ExportSchema
from api_service.web.fields import Label, OperatorCode, Phone, Text, Zone, operator_code
from api_service.web.page import PageSchema
from api_service.web.parts import parts
from api_service.web.reference import Reference
from api_service.web.schema import ThingSchema, described
from shared.domain.attributes import MAX, MAX_NAME, MAX_VALUE


class ClientSchema(ThingSchema):
    id = fields.Integer(dump_only=True, metadata=described("Given by the service, never given again.", example=1))
    phone = Phone(
        required=True,
        metadata=described("11 digits, the first of them 7. No two clients share one.", example="79123456789"),
    )
    operator_code = OperatorCode(
        metadata=described(
            "Three digits; digits 2 to 4 of the phone where it is left out. Only the shape is checked: the numbering"
            " plan changes every month, and a number that moved to another operator keeps its digits.",
            example="912",
        )
    )
    tag = Label(
        load_default=lambda: "",
        validate=validate.Length(max=64),
        metadata=described(
            "Any label, at most 64 characters, without blanks at its ends; empty where it is left out.", example="vip"
        ),
    )
    timezone = Zone(
        load_default=lambda: parts().default_timezone,
        metadata=described(
            "The IANA name of the client's time zone; that of DEFAULT_TIMEZONE where it is left out.",
            example="Europe/Moscow",
        ),
    )
    attributes = Attributes(
        load_default=dict,
        metadata=described(
            f"What else is known of them, at most {MAX} strings, numbers and booleans by name. Names have at most"
            f" {MAX_NAME} characters and strings {MAX_VALUE}; both are kept as tags are. Given whole.",
            example={"city": "Omsk", "visits": 3, "is_member": True},
        ),
    )
    reference = Reference()
    revision = fields.Integer(
        dump_only=True,
        metadata=described("Counts the changes of what users can set; `ETag` is made of it.", example=1),
    )

    @post_load
    def _default_operator_code(self, data: dict[str, Any], partial: bool | None, **_: Any) -> dict[str, Any]:
        if not partial:
            data.setdefault("operator_code", operator_code(data["phone"]))
        return data


class ClientsQuerySchema(ExportSchema, PageSchema):
    class Meta(PageSchema.Meta):
        include = {  # noqa: RUF012 - no name of Python
            FILTER: fields.Raw(
                attribute="attributes",
                metadata=described(
                    "Only clients of whom this is known under this name; `5` is a number, too, and `true` a boolean."
                    " Any number of attributes.",
                    type="string",
                ),
            )
        }

    phone = Phone(metadata=described("Only the client who has it."))
    tag = Label(validate=validate.Length(max=64), metadata=described("Only clients with this tag; empty: without one."))
    operator_code = OperatorCode(metadata=described("Only clients with this code."))
    timezone = Zone(metadata=described("Only clients of this zone."))
    reference = Text(validate=validate.Length(1, 64), metadata=described("Only the client whom you call so."))

    @pre_load
    def _attributes(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        found = wanted(data)
        return {**data, FILTER: found} if found else data


class DeletionQuerySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    erase = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata=described("`true`: with all that is known of them, everywhere."),
    )
