"""/keys/

Keys are made on the command line, and on the console by somebody who gives their own once more. A stolen one, whatever
its scope, makes none that outlive it: what was made with a key is revoked with it, and expires no later.
"""

from collections.abc import Sequence

from flask.views import MethodView
from marshmallow import Schema, fields

from api_service.access import actions
from api_service.web.blueprint import Blueprint
from api_service.web.fields import Moment
from api_service.web.key import Scope
from api_service.web.parts import working
from api_service.web.problems import NotFound
from api_service.web.schema import answer, described, enumerated
from shared import logs
from shared.database.models import ApiKey

_log = logs.logger()

blueprint = Blueprint("Keys", "Who may use this API; for keys of the scope `admin`.", "/keys")

_GIVEN = {
    "id": "0f3a9c21b7de",
    "name": "shop",
    "scope": "write",
    "created_at": "2050-01-30T14:21:07.123456+00:00",
    "made_by": None,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2050-01-31T06:00:00.218374+00:00",
}
_ID = {
    "in": "path",
    "name": "key_id",
    "description": "The id of the key: the twelve characters behind `nsk_`.",
    "example": "0f3a9c21b7de",
}


class KeySchema(Schema):
    id = fields.String(metadata=described("The public part of the key; log lines have it too.", example="0f3a9c21b7de"))
    name = fields.String(metadata=described("Whose it is.", example="shop"))
    scope = fields.String(
        metadata=enumerated("Scope", "What it may do.", enum=[str(scope) for scope in Scope], example="write")
    )
    created_at = Moment(metadata=described("When it was made."))
    made_by = fields.String(
        allow_none=True,
        metadata=described(
            "The id of the key that it was made with on the console, and with which it is revoked; null: it stands"
            " alone.",
            example=None,
        ),
    )
    expires_at = Moment(allow_none=True, metadata=described("It opens nothing from then on; null: it does not expire."))
    revoked_at = Moment(allow_none=True, metadata=described("When it was revoked; null: it was not."))
    last_used_at = Moment(
        allow_none=True, metadata=described("When it was used last, to a minute or two; null: it was not used yet.")
    )


@blueprint.route("/")
class Keys(MethodView):
    @blueprint.operation("listKeys", scope=Scope.ADMIN, answer=answer(KeySchema, many=True), gives=[_GIVEN])
    def get(self) -> Sequence[ApiKey]:
        """List keys

        All there ever were, the oldest first, without their secrets: those are stored nowhere.
        """
        return actions.list_all(working())


@blueprint.route("/<key:key_id>/", parameters=[_ID])
class OneKey(MethodView):
    @blueprint.operation("revokeKey", scope=Scope.ADMIN, status=204, fails=[NotFound])
    def delete(self, key_id: str) -> None:
        """Revoke a key

        For good, within five seconds, and with it those that were made with it. It stays in the list. Repeating it is
        harmless.
        """
        revoked = actions.revoke(working(), key_id)
        _log.info("api_key_revoked", key_name=revoked.name)  # which one, and by whom, the line knows from the request
