"""Imports of clients as requests and answers have them."""

from enum import StrEnum
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from api_service.directory.files.lines import EMPTIED
from api_service.directory.progress import ImportState
from api_service.directory.refused_lines import LISTED
from api_service.web.fields import Label, Moment
from api_service.web.page import PageSchema
from api_service.web.schema import described, enumerated

GIVEN = {
    "id": 1,
    "name": "crm-2050-01-31",
    "state": "finished",
    "started_at": "2050-01-31T06:00:00.218374+00:00",
    "ended_at": "2050-01-31T06:00:01.004127+00:00",
    "failure": None,
    "lines": 3,
    "created": 1,
    "updated": 1,
    "refused": 1,
    "errors": [{"line": 4, "errors": {"phone": ["Must be 11 digits, the first of them 7."]}, "value": "8926000"}],
    "normalised": 0,
    "emptied": 0,
    "emptied_values": [],
    "encoding": "utf-8",
    "separator": ",",
    "columns": [{"header": name, "taken_as": name} for name in ("phone", "operator_code", "tag", "timezone")],
}
REFUSED = "\ufeffline,reason,value,phone,operator_code,tag,timezone\r\n" + (
    '4,"phone: Must be 11 digits, the first of them 7.",8926000,8926000,,,\r\n'
)


class LineErrorSchema(Schema):
    line = fields.Integer(metadata=described("Its number, counted from 1.", example=3))
    errors = fields.Dict(
        metadata=described("What is wrong with it: lists of sentences by field, `_schema` for the line as a whole.")
    )
    value = fields.String(metadata=described("The first value that is wrong, or the line; its beginning."))


class EmptiedValueSchema(Schema):
    line = fields.Integer(metadata=described("Its number, counted from 1.", example=3))
    header = fields.String(metadata=described("Of the column.", example="tag"))


class ColumnSchema(Schema):
    header = fields.String(metadata=described("As it stands in the file.", example="Телефон"))
    taken_as = fields.String(
        allow_none=True,
        metadata=described("The field of a client; `attributes.city`: an attribute; null: nothing.", example="phone"),
    )


class ImportSchema(Schema):
    id = fields.Integer(allow_none=True, metadata=described("Given by the service; null: a rehearsal.", example=1))
    name = fields.String(metadata=described("The one it was given in the query, or empty.", example="crm-2050-01-31"))
    state = fields.Enum(
        ImportState,
        by_value=fields.String,
        metadata=enumerated(
            "ImportState",
            "`running`; `finished`: the whole file was read; `broken`: it ended before the file did, and what had been"
            " taken stays. One whose process died is broken after two minutes.",
        ),
    )
    started_at = Moment(metadata=described("When its first line was there."))
    ended_at = Moment(allow_none=True, metadata=described("Null while it runs. If its process died, minutes later."))
    failure = fields.String(allow_none=True, metadata=described("Why it is broken; null otherwise."))
    lines = fields.Integer(
        metadata=described("Lines taken or refused by now; the sum of the following three.", example=3)
    )
    created = fields.Integer(metadata=described("Lines that added a client.", example=1))
    updated = fields.Integer(
        metadata=described(
            "Lines about a client who was there already, whether or not they changed anything.", example=1
        )
    )
    refused = fields.Integer(metadata=described("Lines that were not valid.", example=1))
    errors = fields.List(
        fields.Nested(LineErrorSchema),
        metadata=described(
            f"The first {LISTED} refused lines; `refused` counts all of them, and `/clients/imports/{{id}}/refused/`"
            " has them."
        ),
    )
    normalised = fields.Integer(metadata=described("Lines with a value that was spelled otherwise than it was taken."))
    emptied = fields.Integer(metadata=described("Values of taken lines of which nothing that can be seen was left."))
    emptied_values = fields.List(
        fields.Nested(EmptiedValueSchema), metadata=described(f"Where the first {EMPTIED} of these stand.")
    )
    encoding = fields.String(allow_none=True, metadata=described("In which it was read.", example="utf-8"))
    separator = fields.String(allow_none=True, metadata=described("Of its cells; null: NDJSON.", example=","))
    columns = fields.List(
        fields.Nested(ColumnSchema), metadata=described("What each column was taken for; none of NDJSON.")
    )


class ImportName(Label):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(1, 64), **kwargs)


class Columns(StrEnum):
    ANY = "any"  # what is no member of a client becomes an attribute
    STRICT = "strict"  # it is a fault


class ImportQuerySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    name = ImportName(
        load_default="",
        metadata=described("Any name for this import, at most 64 characters, to find it by while it runs."),
    )
    dry_run = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata=described(
            "`true`: a rehearsal. The whole file is read, the answer says what an import of it would say, and nothing"
            " is stored."
        ),
    )
    columns = fields.Enum(
        Columns,
        by_value=fields.String,
        load_default=lambda: Columns.ANY,
        metadata=enumerated(
            "ImportColumns",
            "What becomes of a column that is no field of a client: an attribute by its header, or, with `strict`, the"
            " file is refused.",
        ),
    )


class ImportsQuerySchema(PageSchema):
    name = ImportName(metadata=described("Only imports that were given this name."))
