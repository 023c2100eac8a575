"""How problems become answers, whoever found them."""

import logging
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, g, jsonify
from psycopg2.errorcodes import IDLE_IN_TRANSACTION_SESSION_TIMEOUT, READ_ONLY_SQL_TRANSACTION
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from api_service.web.problems import TYPES, Defect, Places, Problem, Refused, Unavailable, Unreadable

if TYPE_CHECKING:  # it declares metrics, whose directory is not known when this is imported first
    from api_service.web.request_log import RequestLog

RETRY_AFTER = "5"  # seconds

_PASSING = frozenset({READ_ONLY_SQL_TRANSACTION, IDLE_IN_TRANSACTION_SESSION_TIMEOUT})
"""Troubles that pass, though psycopg2 calls them internal errors: a server that is only a standby for now, or full; a
transaction that stood still, as in a frozen process."""

DATABASE_TROUBLES = (DBAPIError, OperationalError, InterfaceError, PoolTimeout)

_BY_STATUS = {kind.status: kind for kind in reversed(TYPES.values())}
"""The first of those that share a status: the one for what frameworks find."""


def answer(
    kind: type[Problem],
    message: str,
    errors: Places | None = None,
    headers: Iterable[tuple[str, str]] = (),
    status: int | None = None,
) -> Response:
    """status: where it is another one than usual."""
    code = int(status or kind.status)
    response = jsonify(
        type=kind.type, code=code, status=HTTP_STATUS_CODES[code], message=message, errors=dict(errors or {})
    )
    response.status_code = code
    response.headers.extend(headers)
    return response


def from_problem(problem: Problem) -> Response:
    if isinstance(problem, Refused):
        g.refusal = problem.reason
    return answer(type(problem), problem.message, problem.errors, problem.headers.items())


def from_http(error: HTTPException) -> Response:
    """Errors of Flask itself, and the 500 that an unexpected exception becomes."""
    code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _BY_STATUS.get(HTTPStatus(code)) or (Unreadable if code < HTTPStatus.INTERNAL_SERVER_ERROR else Defect)
    headers = [header for header in error.get_headers() if header[0] not in ("Content-Type", "Content-Length")]
    return answer(kind, error.description or error.name, headers=headers, status=code)


def register(app: Flask, log: "RequestLog") -> None:
    app.register_error_handler(Problem, from_problem)
    for kind in DATABASE_TROUBLES:
        app.register_error_handler(kind, partial(from_database, log))


def from_database(log: "RequestLog", error: DBAPIError | PoolTimeout) -> Response:
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
    return answer(Unavailable, message, headers=[("Retry-After", RETRY_AFTER)])
