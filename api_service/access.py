"""Around every request: its id, its line in the log, its metrics, and the headers that all answers carry."""

import re
import uuid
from urllib.parse import quote

import structlog
from flask import Flask, Response, g, request

from shared import clock, logs
from shared.metrics import REQUEST_SECONDS, REQUESTS

_log = logs.logger()

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_QUIET = frozenset({"/health/live", "/health/ready"})  # asked every few seconds by machines

_HEADERS = {
    "Cache-Control": "no-store",  # what is in an answer belongs to whoever has the key
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_PAGE = {
    # Swagger UI brings a script and styles inside its page; nothing may ever come from another host.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; object-src 'none';"
    " frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def about(**ids: int | str) -> None:
    """Names what the request turned out to be about, for its lines in the log."""
    structlog.contextvars.bind_contextvars(**ids)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
    g.begun = clock.ticks()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id, **(request.view_args or {}))


def _end(response: Response) -> Response:
    seconds = clock.ticks() - g.begun
    rule = request.url_rule.rule if request.url_rule else "none"  # not the path: whoever asks could make up any number
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.labels(method, rule, str(response.status_code)).inc()
    REQUEST_SECONDS.labels(rule).observe(seconds)
    log = _log.debug if request.path in _QUIET and response.status_code < 500 else _log.info
    log(
        "request",
        method=method,
        path=quote(request.path)[:200],
        status=response.status_code,
        ms=round(seconds * 1000, 1),
    )
    response.headers["X-Request-ID"] = g.request_id
    page = _PAGE if request.blueprint == "swagger_ui" else {}
    for name, value in (_HEADERS | page).items():
        response.headers.setdefault(name, value)
    return response
