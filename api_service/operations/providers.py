"""/providers/"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask.views import MethodView

from api_service.operations import provider_actions as actions
from api_service.operations.provider_actions import View
from api_service.operations.provider_schema import ProviderSchema
from api_service.web.blueprint import Blueprint
from api_service.web.key import Scope
from api_service.web.parts import working
from api_service.web.problems import NotFound
from api_service.web.schema import answer, changes, given_example

blueprint = Blueprint("Providers", "The gateways that messages go through.", "/providers")

_ANSWER, _ANSWER_LIST = answer(ProviderSchema), answer(ProviderSchema, many=True)
_GIVEN = given_example(ProviderSchema)
_NAME = {"in": "path", "name": "name", "description": "The name of the provider.", "example": "north"}


@blueprint.route("/")
class Providers(MethodView):
    @blueprint.operation("listProviders", answer=_ANSWER_LIST, gives=[_GIVEN])
    def get(self) -> Sequence[View]:
        """List providers

        Those that the settings of dispatchers name, as the dispatchers have seen them within the last seconds. Secrets
        are not among it.
        """
        return actions.list_all(working())


@blueprint.route("/<provider:name>/", parameters=[_NAME])
class OneProvider(MethodView):
    @blueprint.operation("getProvider", answer=_ANSWER, gives=_GIVEN, fails=[NotFound], is_tagged=True)
    def get(self, name: str) -> View:
        """Look up a provider

        As the dispatchers have seen it within the last seconds.
        """
        return actions.find(working(), name)

    @blueprint.operation(
        "changeProvider",
        scope=Scope.ADMIN,
        body=changes(ProviderSchema),
        sends={"paused": True},
        answer=_ANSWER,
        gives=_GIVEN | {"paused": True, "state": "paused", "since": "2050-01-31T06:00:00.218374+00:00", "revision": 2},
        fails=[NotFound],
        is_tagged=True,
        is_conditional=True,
    )
    def patch(self, values: Mapping[str, Any], name: str) -> View:
        """Pause a provider, or give it another weight

        Every dispatcher acts on it within a second; calls that are open are waited for. While it is paused its messages
        go through others, as far as they may, and wait else. What it may have taken already always waits for it.
        """
        return actions.change(working(), name, values)
