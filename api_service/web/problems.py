"""Error answers: one shape for all, whoever found the error.

    {"code": 404, "status": "Not Found", "message": "There is no client 5.", "errors": {}}

Problem
├── Refused            nothing was done for it: the log and a metric have the reason
│   ├── Unauthorized  401  not without a key that is valid
│   ├── Forbidden     403  not from there
│   │   └── TooSmall       not with this key
│   └── TooMany       429  not so often, not so much at once
├── NotFound      404  there is no such thing
├── Conflict      409  not in the present state of things
└── Invalid       422  not with these values
"""

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify
from psycopg2.errorcodes import IDLE_IN_TRANSACTION_SESSION_TIMEOUT, READ_ONLY_SQL_TRANSACTION
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from api_service.web.refusal import Refusal

if TYPE_CHECKING:  # it declares metrics, whose directory is not known when this is imported first
    from api_service.web.request_log import RequestLog

RETRY_AFTER = "5"  # seconds

_PASSING = frozenset({READ_ONLY_SQL_TRANSACTION, IDLE_IN_TRANSACTION_SESSION_TIMEOUT})
"""Troubles that pass, though psycopg2 calls them internal errors: a server that is only a standby for now, or full; a
transaction that stood still, as in a frozen process."""


class Problem(Exception):
    """errors: lists of sentences by field. place: of these fields in the request. headers: of the answer, beyond the
    usual ones."""

    status: HTTPStatus

    def __init__(
        self,
        message: str,
        errors: Mapping[str, list[str]] | None = None,
        place: str = "json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors = {place: dict(errors)} if errors else {}
        self.headers = dict(headers or {})


class Refused(Problem):
    """reason: for who runs the service. Whoever asked is not told what is wrong with a key: it may not be theirs."""

    def __init__(self, reason: Refusal, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.reason = reason


class Unauthorized(Refused):
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, reason: Refusal, message: str | None = None) -> None:
        challenge = 'Bearer realm="notification-service"'
        if reason is not Refusal.NO_KEY:
            message = message or "This is no valid API key: unknown, revoked, or expired."
            challenge += ', error="invalid_token"'
        super().__init__(reason, message or NEEDS_KEY, {"WWW-Authenticate": challenge})


class Forbidden(Refused):
    status = HTTPStatus.FORBIDDEN


class TooSmall(Forbidden):
    """scope: the least that would do."""

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer realm="notification-service", error="insufficient_scope", scope="{scope}"'
        message = f"The scope of this API key must be {scope}."
        super().__init__(Refusal.SCOPE, message, {"WWW-Authenticate": challenge})


class TooMany(Refused):
    """retry_after: seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, reason: Refusal, message: str, retry_after: int = 1) -> None:
        super().__init__(reason, message, {"Retry-After": str(retry_after)})


class NotFound(Problem):
    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    status = HTTPStatus.CONFLICT


class Invalid(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, errors: Mapping[str, list[str]], place: str = "json") -> None:
        super().__init__(SEE_ERRORS, errors, place)


NEEDS_KEY = "An API key is needed, as `Authorization: Bearer …`."
OTHER_SITE = "Without keys this API is for programs on its own machine, not for pages of other sites."
SEE_ERRORS = "The request is not valid: `errors` says where."


def answer(
    status: int, message: str, errors: Mapping[str, Any] | None = None, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    response = jsonify(code=int(status), status=HTTP_STATUS_CODES[status], message=message, errors=errors or {})
    response.status_code = status
    response.headers.extend(headers)
    return response


def from_http(error: HTTPException) -> Response:
    """Errors of Flask itself, of flask-smorest and webargs, and the 500 that an unexpected exception becomes.

    webargs leaves what it found at fault in `data`.
    """
    data: dict[str, Any] = getattr(error, "data", None) or {}
    errors = data.get("messages") or {}
    message = data.get("message") or (SEE_ERRORS if errors else error.description) or ""
    headers = [header for header in error.get_headers() if header[0] not in ("Content-Type", "Content-Length")]
    return answer(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, message, errors, headers)


def register(app: Flask, log: "RequestLog") -> None:
    app.register_error_handler(Problem, _from_problem)
    for kind in (DBAPIError, OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, partial(_from_database, log))


def _from_problem(problem: Problem) -> Response:
    if isinstance(problem, Refused):
        g.refusal = problem.reason
    return answer(problem.status, problem.message, problem.errors, problem.headers.items())


def _from_database(log: "RequestLog", error: DBAPIError | PoolTimeout) -> Response:
    """The server is down, starting, stopping, overloaded, full, read-only or too slow: a later try may do. All else is
    a defect."""
    cause = getattr(error, "orig", None)
    sqlstate = getattr(cause, "pgcode", None)
    if isinstance(error, DBAPIError) and not (
        error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)) or sqlstate in _PASSING
    ):
        raise error
    name = type(cause or error).__name__
    event = "database_unavailable"
    log.write(logging.WARNING, event, None, (event, name, sqlstate), error=name, sqlstate=sqlstate)
    message = "The database is not available. Nothing is known to have changed; try again later."
    return answer(HTTPStatus.SERVICE_UNAVAILABLE, message, headers=[("Retry-After", RETRY_AFTER)])
