"""Around every request: its id, its line in the log, its metrics, and the headers that all answers carry."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from flask import Flask, Request, Response, g

from api_service.web.parts import asked
from api_service.web.refusal import Refusal
from api_service.web.request_id import request_id
from api_service.web.request_log import RequestLog
from shared import clock
from shared.domain.masking import without_phones
from shared.metrics import REFUSED, REQUEST_SECONDS, REQUESTS, begin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _READING | {"POST", "PUT", "PATCH", "DELETE"}
_HIDDEN = "secret"  # an argument of a view: a part of the path that the log is not to have
_MANY = "/receipts/"  # thousands a second, and each is kept with its message
_QUIET = frozenset({"/health/live", "/health/ready"})  # asked every few seconds by machines

_HEADERS = [
    ("Cache-Control", "no-store"),  # what is in an answer belongs to whoever has the key
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
_PAGE = {
    # Swagger UI brings a script and styles inside its page; nothing may ever come from another host.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; object-src 'none';"
    " frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def register(app: Flask, log: RequestLog) -> None:
    begin(REFUSED, Refusal)
    app.before_request(_begin)
    app.after_request(lambda response: _end(response, log))
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign,assignment]


def count_failures(app: Flask) -> None:
    """Shows failures of every endpoint from the start. The application has all of its endpoints by now."""
    for rule in app.url_map.iter_rules():
        begin(REQUESTS, sorted(_METHODS & (rule.methods or set()) - {"HEAD", "OPTIONS"}), [rule.rule], _FAILURES)


_FAILURES = ("500", "503")
"""A defect; something that the API needs is not there."""


def about(**ids: int | str) -> None:
    """Names what the request turned out to be about, for its lines in the log."""
    structlog.contextvars.bind_contextvars(**ids)


def known_as(key_id: str) -> None:
    """The request has a valid key: what is counted by caller is counted by it from now on, and not by the address."""
    g.caller = key_id


def _begin() -> None:
    request = asked()
    g.request_id = request_id(request.headers.get("X-Request-ID"))
    g.begun = clock.ticks()
    g.caller = request.remote_addr
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        request_id=g.request_id,
        address=request.remote_addr,
        **{name: value for name, value in (request.view_args or {}).items() if name != _HIDDEN},
    )


def _end(response: Response, log: RequestLog) -> Response:
    request = asked()
    seconds = clock.ticks() - g.begun
    rule = request.url_rule.rule if request.url_rule else "none"  # not the path: whoever asks could make up any number
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.labels(method, rule, str(response.status_code)).inc()
    REQUEST_SECONDS.labels(rule).observe(seconds)
    _write(log, method, rule, response.status_code, seconds)
    response.headers["X-Request-ID"] = g.request_id
    if request.blueprint == "swagger_ui":
        response.headers.update(_PAGE)
    return response


def _write(log: RequestLog, method: str, rule: str, status: int, seconds: float) -> None:
    request = asked()
    fields = {
        "method": method,
        "path": _path(request),
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if refusal := g.get("refusal"):
        REFUSED.labels(refusal).inc()
        fields["reason"] = str(refusal)
    level = logging.DEBUG if request.path in _QUIET and status < 500 else logging.INFO
    if method not in _READING and status < 300 and not rule.startswith(_MANY):  # something was changed
        log.always(level, "request", **fields)
    else:
        log.write(level, "request", g.caller, ("request", method, rule, status, refusal), **fields)


def _path(request: Request) -> str:
    path = request.path
    if secret := (request.view_args or {}).get(_HIDDEN):
        path = f"{path.removesuffix(secret)}..."
    return quote(without_phones(path))[:200]


def _with_headers(application: "WSGIApplication") -> "WSGIApplication":
    """Where they cost least: werkzeug looks at every name and value that it is given, and they are always the same."""

    def call(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            given = {name for name, _ in headers}
            return start_response(status, headers + [header for header in _HEADERS if header[0] not in given], *rest)

        return application(environ, start)

    return call
