"""What the schemas of all rooms share."""

from marshmallow import RAISE, Schema, fields


def described(description: str, **more: object) -> dict[str, object]:
    return {"description": description, **more}


class BodySchema(Schema):
    """A JSON object; what it does not know it refuses."""

    class Meta:
        unknown = RAISE

    error_messages = {"type": "Must be a JSON object.", "unknown": "Unknown field."}  # noqa: RUF012


class ErrorSchema(Schema):
    """Every error answer of the service."""

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
