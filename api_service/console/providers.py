"""/console/providers/: the gateways, and what a person says of each."""

from collections.abc import Sequence
from typing import Any

from flask import Response, g
from marshmallow import ValidationError

from api_service.console import rendering
from api_service.console.forms import whole
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.operations import provider_actions as actions
from api_service.operations.provider_actions import View
from api_service.operations.provider_schema import HEAVIEST, ProviderSchema, ProviderState
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.parts import asked, working
from api_service.web.problems import NotFound
from api_service.web.schema import changes

_CHANGES = changes(ProviderSchema)


@page("/providers/")
def providers() -> Response:
    return rendering.page("providers.html", providers=actions.list_all(working()))


@page("/providers/live/")
@shared
def providers_live() -> Response:
    return rendering.part("providers_live.html", is_over=False, providers=actions.list_all(working()))


@page("/providers/<provider:name>/<any(pause,resume):action>/", scope=Scope.ADMIN)
def ask_provider(name: str, action: str) -> Response:
    """What it would mean, before anything is done."""
    return rendering.page("provider_ask.html", asked_for=action, **_seen(name))


@page("/providers/<provider:name>/<any(pause,resume):action>/", scope=Scope.ADMIN, methods=["POST"])
def switch_provider(name: str, action: str) -> Response:
    """Only while it is as whoever sends the form has seen it."""
    g.match = Match.parsed(asked().form.get("revision", ""))
    actions.change(working(), name, {"paused": action == "pause"})
    return see("/providers/")


@page("/providers/<provider:name>/weight/", scope=Scope.ADMIN)
def ask_weight(name: str) -> Response:
    return _weight_form(name)


@page("/providers/<provider:name>/weight/", scope=Scope.ADMIN, methods=["POST"])
def set_weight(name: str) -> Response:
    """Only while it is as whoever sends the form has seen it."""
    form = asked().form
    g.match = Match.parsed(form.get("revision", ""))
    given = form.get("weight", "").strip()
    try:
        values = _CHANGES.load({"weight": whole(given)})
    except ValidationError as error:
        return _weight_form(name, given, error.messages_dict["weight"])
    actions.change(working(), name, values)
    return see("/providers/")


def _weight_form(name: str, given: str | None = None, faults: Sequence[str] = ()) -> Response:
    seen = _seen(name)
    weight = str(seen["one"]["weight"]) if given is None else given
    response = rendering.page("provider_weight.html", weight=weight, faults=faults, heaviest=HEAVIEST, **seen)
    response.status_code = 422 if faults else 200
    return response


def _seen(name: str) -> dict[str, Any]:
    """Raises NotFound."""
    listed: Sequence[View] = actions.list_all(working())
    one = next((one for one in listed if one["name"] == name), None)
    if one is None:
        raise NotFound(f"There is no provider {name}.")
    others = [other for other in listed if other["name"] != name]
    return {
        "one": one,
        "others": others,
        "able": [other["name"] for other in others if other["state"] is ProviderState.UP and other["weight"]],
        "revision": etag(one["revision"]),
    }
