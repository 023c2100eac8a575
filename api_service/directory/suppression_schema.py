"""A suppression as requests and answers have it."""

from marshmallow import EXCLUDE, Schema, fields, validate

from api_service.directory.import_schema import ColumnSchema, ImportName, LineErrorSchema
from api_service.directory.progress import ImportState
from api_service.web.fields import Label, Moment, Phone
from api_service.web.page import PageSchema
from api_service.web.schema import ThingSchema, described, enumerated


class SuppressionSchema(ThingSchema):
    id = fields.Integer(dump_only=True, metadata=described("Given by the service, never given again.", example=1))
    phone = Phone(
        required=True,
        load_only=True,
        metadata=described(
            "11 digits, the first of them 7. It is kept as a digest, and shown by no answer.", example="79123456789"
        ),
    )
    reason = Label(
        load_default=lambda: "",
        validate=validate.Length(max=200),
        metadata=described("Why, in your words; nothing about the person.", example="STOP by SMS"),
    )
    source = Label(
        load_default=lambda: "",
        validate=validate.Length(max=64),
        metadata=described("Where it comes from.", example="crm"),
    )
    since = Moment(
        dump_only=True, metadata=described("When it was put on the list.", example="2050-01-31T06:00:00.218374+00:00")
    )
    client_id = fields.Integer(
        dump_only=True,
        allow_none=True,
        metadata=described("The client who has the phone now; null: nobody.", example=1),
    )


class SuppressionsQuerySchema(PageSchema):
    phone = Phone(metadata=described("Only the suppression of this phone."))


class SuppressionImportQuerySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    name = ImportName(
        load_default="",
        metadata=described("Any name for this file, at most 64 characters, to find it by while it is read."),
    )


class SuppressionImportSchema(Schema):
    id = fields.Integer(metadata=described("Of the file, under which its refused lines are.", example=1))
    lines = fields.Integer(metadata=described("Lines of the file; the sum of the following three.", example=3))
    created = fields.Integer(metadata=described("Phones that are suppressed now and were not.", example=1))
    known = fields.Integer(metadata=described("Lines about a phone that was there, or came before.", example=1))
    refused = fields.Integer(metadata=described("Lines without a phone that can be read.", example=1))
    errors = fields.List(fields.Nested(LineErrorSchema), metadata=described("The first 100 refused lines."))
    encoding = fields.String(metadata=described("In which it was read.", example="utf-8"))
    separator = fields.String(allow_none=True, metadata=described("Of its cells; null: NDJSON.", example=","))
    columns = fields.List(
        fields.Nested(ColumnSchema), metadata=described("What each column was taken for; none of NDJSON.")
    )


class SuppressionFileSchema(SuppressionImportSchema):
    name = fields.String(metadata=described("The one it was given in the query, or empty.", example="stop-2050-01-31"))
    state = fields.Enum(
        ImportState,
        by_value=fields.String,
        metadata=enumerated("ImportState", "As that of a file of clients.", example="finished"),
    )
    taken_at = Moment(metadata=described("When its first line was there.", example="2050-01-31T06:00:00.218374+00:00"))
    ended_at = Moment(
        allow_none=True, metadata=described("Null while it runs.", example="2050-01-31T06:00:01.004127+00:00")
    )
    failure = fields.String(allow_none=True, metadata=described("Why it broke off; null otherwise.", example=None))
    encoding = fields.String(
        allow_none=True, metadata=described("In which it was read; null while it runs.", example="utf-8")
    )
