"""/keys/

Keys are made on the command line only: a stolen one, whatever its scope, makes no others that outlive it.
"""

from collections.abc import Sequence

from flask.views import MethodView

from api_service import keys
from api_service.documentation import Blueprint
from api_service.key import Scope
from api_service.parts import transaction
from api_service.schemas import KeySchema
from shared.database.models import ApiKey

blueprint = Blueprint("Keys", "Who may use this API; for keys of the scope `admin`.", "/keys")

_GIVEN = {
    "id": "0f3a9c21b7de",
    "name": "shop",
    "scope": "write",
    "created_at": "2050-01-30T14:21:07.123456+00:00",
    "expires_at": None,
    "revoked_at": None,
}
_ID = {
    "in": "path",
    "name": "key_id",
    "description": "The id of the key: the twelve characters behind `nsk_`.",
    "example": "0f3a9c21b7de",
}


@blueprint.route("/")
class Keys(MethodView):
    @blueprint.operation("listKeys", scope=Scope.ADMIN, answer=KeySchema(many=True), gives=[_GIVEN])
    def get(self) -> Sequence[ApiKey]:
        """List keys

        All there ever were, the oldest first, without their secrets: those are stored nowhere.
        """
        with transaction() as session:
            return keys.listed(session)


@blueprint.route("/<key:key_id>/", parameters=[_ID])
class OneKey(MethodView):
    @blueprint.operation("revokeKey", scope=Scope.ADMIN, status=204, fails=[404])
    def delete(self, key_id: str) -> None:
        """Revoke a key

        For good, within five seconds. It stays in the list. Repeating it is harmless.
        """
        with transaction() as session:
            keys.revoke(session, key_id)
