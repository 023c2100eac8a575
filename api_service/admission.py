"""Who may do what, and how often: asked before every request.

Whatever does not say that it is open needs a key, also a place that there is not.
"""

from flask import Flask, Request, current_app

from api_service.access import about
from api_service.errors import Forbidden, TooMany, TooSmall, Unauthorized
from api_service.key import Key, Scope, parsed
from api_service.keys import Keyring
from api_service.loopback import is_from_here
from api_service.parts import asked
from api_service.rate import Rate

_OPEN = frozenset({"root", "api-docs.openapi_json", "swagger_ui.show"})  # the documents; they hold no secret


def register(app: Flask, keyring: Keyring | None, rate: Rate) -> None:
    """keyring: None where API_AUTH is off."""

    def admit() -> None:
        request = asked()
        wanted = _wanted(request)
        if wanted is None:
            return
        key = _key(keyring, request) if keyring else None
        if not rate.allows(key.id if key else f"address {request.remote_addr}"):
            raise TooMany()
        if keyring is None:
            if not is_from_here(request.host, request.headers.get("Origin")):
                raise Forbidden(
                    "Without keys this API is for programs on its own machine, not for pages of other sites."
                )
            return
        if key is None:
            raise Unauthorized("authorization" in request.headers)
        about(key=key.id)
        if not key.scope.allows(wanted):
            raise TooSmall(wanted)

    app.before_request(admit)


def _wanted(request: Request) -> Scope | None:
    """The scope that the request asks for, as its operation declares it; None: it is open."""
    if request.endpoint in _OPEN:
        return None
    view_class = getattr(current_app.view_functions.get(request.endpoint or ""), "view_class", None)
    operation = getattr(view_class, "get" if request.method == "HEAD" else request.method.lower(), None)
    return getattr(operation, "scope", Scope.READ)


def _key(keyring: Keyring, request: Request) -> Key | None:
    """Raises SQLAlchemyError."""
    given = request.authorization
    token = parsed(given.token) if given is not None and given.type == "bearer" and given.token else None
    return keyring.find(token) if token else None
