"""/audit/: who changed what."""

from collections.abc import Sequence
from typing import Any

from flask.views import MethodView
from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from api_service.operations import actions
from api_service.web.blueprint import Blueprint
from api_service.web.fields import Moment, Text
from api_service.web.key import Scope
from api_service.web.page import MAX_ID, MAX_SIZE, After
from api_service.web.parts import working
from api_service.web.schema import answer, described
from shared.database.models import Audit

blueprint = Blueprint("Audit", "Who changed what; for keys of the scope `admin`.", "/audit")


class ChangeSchema(Schema):
    """A change that was made over the API or by a command. Nothing ever alters it."""

    id = fields.Integer(metadata=described("Of the line; a later one is greater.", example=7))
    at = Moment(metadata=described("When it was made.", example="2050-01-31T06:00:00.218374+00:00"))
    by = fields.String(
        metadata=described(
            "`key` and its id; `person` and theirs, of whoever has signed in without one; `command`; `anybody` where no"
            " key is needed.",
            example="key 0f3a9c21b7de",
        )
    )
    request_id = fields.String(
        allow_none=True, metadata=described("`X-Request-ID`, as in the log; null: a command.", example="a1b2c3")
    )
    action = fields.String(
        metadata=described(
            "What was done: `create`, `change`, `delete`, `import`, `pause`, `resume`, `cancel`, `revoke`, `recover`.",
            example="change",
        )
    )
    thing = fields.String(
        metadata=described(
            "To what: `client`, `clients`, `segment`, `mailing`, `messages`, `key`, `person`, `provider`.",
            example="mailing",
        )
    )
    thing_id = fields.String(
        metadata=described(
            "Which one; of `clients`, the import; of `messages`, the moment that was restored to.", example="1"
        )
    )
    members = fields.List(fields.String(), metadata=described("What was changed in it.", example=["ends_at"]))
    before = fields.Dict(
        allow_none=True,
        metadata=described(
            "The values from before; null where there are none, or they are somebody's own.",
            example={"ends_at": "2050-01-31T18:00:00+00:00"},
        ),
    )
    after = fields.Dict(
        allow_none=True,
        metadata=described(
            "Those from then on; of an import its counts.", example={"ends_at": "2050-01-31T20:00:00+00:00"}
        ),
    )


class AuditQuerySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    after_id = fields.Integer(
        load_default=0,
        validate=validate.Range(0, MAX_ID),
        metadata=described("The lines that follow this one; from the beginning with 0. `Link` leads to the next ones."),
    )
    page_size = fields.Integer(
        load_default=10, validate=validate.Range(1, MAX_SIZE), metadata=described("Lines at a time.")
    )
    thing = Text(validate=validate.Length(1, 32), metadata=described("Only what was done to this kind of thing."))
    thing_id = Text(validate=validate.Length(1, 32), metadata=described("Only to this one; together with `thing`."))
    by = Text(validate=validate.Length(1, 64), metadata=described("Only what they did."))
    action = Text(validate=validate.Length(1, 32), metadata=described("Only where this was done."))

    @post_load
    def _part(self, data: dict[str, Any], **_: Any) -> Any:
        return {"part": After(data.pop("after_id"), data.pop("page_size")), "filters": data}


_GIVEN = {name: field.metadata["example"] for name, field in ChangeSchema._declared_fields.items()}


@blueprint.route("/")
class Changes(MethodView):
    @blueprint.operation(
        "listChanges",
        scope=Scope.ADMIN,
        query=AuditQuerySchema,
        answer=answer(ChangeSchema, many=True),
        gives=[_GIVEN],
    )
    def get(self, query: dict[str, Any]) -> tuple[Sequence[Audit], dict[str, str]]:
        """List changes

        In the order of ids, without a total. A line is shown as soon as no other one can appear before it, moments
        after the change; so whoever asks for what follows the last line that they have misses none. An import is one
        line with its counts; what the service does by itself is none. Of a client there are the id and the names of
        what was changed, and no values.
        """
        listing = actions.list_changes(working(), query["part"], query["filters"])
        return listing.rows, listing.headers()
