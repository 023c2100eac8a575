"""The OpenAPI document, at /openapi.json, and Swagger UI, at /docs/, whose assets come from an installed package."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls, resolve_schema_instance
from flask import Flask, Response, request
from flask_swagger_ui import get_swaggerui_blueprint
from marshmallow import Schema
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, ValidationError

from api_service.web import problems, upload
from api_service.web.body import MAX_BYTES, BodyParser
from api_service.web.fields import YEARS
from api_service.web.key import Scope
from api_service.web.schema import ErrorSchema

View = TypeVar("View", bound=Callable[..., Any])
SchemaLike = Schema | type[Schema]

MAX_ID = 2**63 - 1
WITH_KEYS = "WITH_KEYS"  # in the configuration of the application

_DESCRIPTION = f"""\
A directory of clients, mailings to them, and where every message stands.

* Bodies are JSON of at most {MAX_BYTES // 1024} KiB, sent as `application/json`. Unknown fields are refused. Files of
  clients are CSV or NDJSON of at most {upload.MAX_BYTES // 2**20} MiB.
* Dates and times are ISO 8601 with an offset from UTC, of the years {YEARS[0]} to {YEARS[-1]}; answers are in UTC.
* Lists come in pages: `page` and `page_size` in the query, the header `X-Pagination` in the answer.
* {{access}}
* Every error is an object with `code`, `status`, `message` and `errors`; `errors` names the fields that are at fault.
* Every answer carries `X-Request-ID`, the one of the request or a new one; the log has it too, always where something
  was changed, and else unless many of a kind came in a few seconds.
* After a 503 the same request may be tried again, a `POST` that creates something with care: it may have been carried
  out after all.
"""
_WITH_KEYS = """\
Every request but those for the health of the service carries an API key: `Authorization: Bearer nsk_…`. A key of the
  scope `read` may look, `write` may change things, `admin` may see to the keys themselves."""
_WITHOUT_KEYS = """\
No request needs a key (`API_AUTH=off`): the service is for programs on its own machine, and refuses pages of other
  sites."""


def _error(code: int, status: str, message: str, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "status": status, "message": message, "errors": found or {}}


# By status: the name in the document, what it means, an example.
_FAILURES: dict[int, tuple[str, str, dict[str, Any]]] = {
    400: ("NotJson", "The body is not JSON.", _error(400, "Bad Request", "The body is not JSON.")),
    401: (
        "Unauthorized",
        "There is no API key, or none that is valid.",
        _error(401, "Unauthorized", problems.NEEDS_KEY),
    ),
    403: (
        "Forbidden",
        "The API key is not for this: its scope is too small.",
        _error(403, "Forbidden", "The scope of this API key must be write."),
    ),
    404: ("NotFound", "There is no such thing, or no more.", _error(404, "Not Found", "There is no client 1.")),
    409: (
        "Conflict",
        "Not possible in the present state of things; nothing was changed.",
        _error(409, "Conflict", "Another client has this phone.", {"json": {"phone": ["Belongs to another client."]}}),
    ),
    413: (
        "TooLarge",
        f"The body has more than {MAX_BYTES // 1024} KiB.",
        _error(413, "Request Entity Too Large", "The data value transmitted exceeds the capacity limit."),
    ),
    414: (
        "AddressTooLong",
        "The address is too long for the server to read it.",
        _error(414, "Request URI Too Long", "The server cannot read this request."),
    ),
    415: (
        "NotJsonType",
        "The content type is not JSON.",
        _error(415, "Unsupported Media Type", "The content type must be application/json."),
    ),
    422: (
        "Invalid",
        "A field of the body, or of the query, is not valid; `errors` names it. Nothing was changed.",
        _error(
            422,
            "Unprocessable Entity",
            problems.SEE_ERRORS,
            {"json": {"timezone": ["Must be an IANA time zone such as Europe/Moscow."]}},
        ),
    ),
    429: (
        "TooMany",
        "More requests a second than API_RATE allows, or more of one key at the same time than half of the threads of a"
        " process. Nothing was done; `Retry-After` says when to try again.",
        _error(429, "Too Many Requests", "Too many requests in this second."),
    ),
    500: (
        "Defect",
        "A defect of the service. The log has the details under the answer's X-Request-ID.",
        _error(500, "Internal Server Error", "The server encountered an internal error."),
    ),
    503: (
        "Unavailable",
        "The database does not answer, or not in time. `Retry-After` says when to try again.",
        _error(503, "Service Unavailable", "The database is not available."),
    ),
}

_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "nsk_…",
    "description": "An API key, made by `python -m api_service keys create`. An operation names the scope that it"
    " needs; a larger one does as well.",
}
_OTHER_SITE = (
    "Forbidden",
    "Without keys the service is for programs on its own machine: a page of another site asks.",
    _error(403, "Forbidden", problems.OTHER_SITE),
)
_CHALLENGE = {"WWW-Authenticate": {"description": "What is wanted (RFC 6750).", "schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until then.", "schema": {"type": "integer"}}}
_FAILURE_HEADERS = {401: _CHALLENGE, 403: _CHALLENGE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}

# Where the body is a file. By status, and beyond those above.
_FILE_FAILURES: dict[int, tuple[str, str, dict[str, Any]]] = {
    400: ("BrokenOff", "The body broke off. What had been taken stays.", _error(400, "Bad Request", upload.BROKEN_OFF)),
    408: (
        "TooSlow",
        f"{upload.TOO_SLOW.removesuffix('.')}, or took longer than {upload.MAX_SECONDS / 60:g} minutes. What had been"
        " taken stays.",
        _error(408, "Request Timeout", upload.TOO_SLOW),
    ),
    413: (
        "FileTooLarge",
        f"The body has more than {upload.MAX_BYTES // 2**20} MiB. What had been taken stays.",
        _error(413, "Request Entity Too Large", f"The body has more than {upload.MAX_BYTES // 2**20} MiB."),
    ),
    415: (
        "NotFileType",
        "The content type is none of the documented ones.",
        _error(415, "Unsupported Media Type", "The content type must be text/csv or application/x-ndjson."),
    ),
    422: (
        "InvalidFile",
        "The file as a whole, or the query, is not valid. Nothing was changed.",
        _error(422, "Unprocessable Entity", problems.SEE_ERRORS, {"header": {"phone": ["Missing column."]}}),
    ),
    429: (
        "TooManyImports",
        "Too many imports are running here, or the key has too many requests a second or at the same time."
        " `Retry-After` says when to try again.",
        _error(429, "Too Many Requests", "2 imports are running here already."),
    ),
}

_PAGINATION = {
    "X-Pagination": {
        "description": "JSON: `total`, `total_pages`, `first_page`, `last_page`, `page`, `previous_page`, `next_page`.",
        "required": True,
        "schema": {"type": "string"},
        "example": '{"total": 1, "total_pages": 1, "first_page": 1, "last_page": 1, "page": 1}',
    }
}


class IdConverter(BaseConverter):
    """An id in a path: what is none, or more than the database can hold, is no such path."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        if int(value) > MAX_ID:
            raise ValidationError
        return int(value)


class KeyConverter(BaseConverter):
    """The id of an API key in a path."""

    regex = "[0-9a-f]{12}"


class Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    """flask-smorest's, with our shape of errors and a document that says of no answer more than is true."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # every operation names its own

    def handle_http_exception(self, error: HTTPException) -> Response:
        return problems.from_http(error)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations that read their bodies strictly and document every answer they give."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(self, name: str, description: str, prefix: str = "", *, is_open: bool = False) -> None:
        """name: of the tag, too. is_open: its operations need neither a key nor the database."""
        super().__init__(name, __name__, url_prefix=prefix, description=description)
        self._prepare_doc_cbks.append(_without_keys)
        self._is_open = is_open
        self._always = {500} if is_open else {401, 403, 429, 500, 503}

    def operation(
        self,
        name: str,
        *,
        scope: Scope | None = None,
        body: SchemaLike | None = None,
        sends: object = None,
        files: Mapping[str, str] | None = None,
        query: SchemaLike | None = None,
        status: int = 200,
        answer: SchemaLike | None = None,
        gives: object = None,
        content_type: str | None = None,
        fails: Sequence[int] = (),
    ) -> Callable[[View], View]:
        """Declares a view as the operation `name`.

        scope: what a key must allow; by default `read` for a GET and `write` for everything else.
        body, query: handed to the view in this order, loaded. sends, gives: examples of the request and the answer.
        files: examples by content type of a body that the view reads by itself.
        fails: statuses beyond those that follow from the rest. A query without files makes the answer one
        page of a list.
        """
        statuses = {*fails, *self._always}
        statuses |= ({400, 413, 415, 422} if body else set()) | ({414, 422} if query else set())
        failures = _FAILURES | _FILE_FAILURES if files else _FAILURES
        statuses |= _FILE_FAILURES.keys() if files else set()

        paged = query is not None and not files

        def decorate(view: View) -> View:
            wanted = None if self._is_open else scope or (Scope.READ if view.__name__ == "get" else Scope.WRITE)
            # The failures all at once, because each of the library's decorators wraps the view once more.
            notes: dict[str, Any] = {"responses": {str(status): failures[status][0] for status in sorted(statuses)}}
            notes["security"] = [{"key": [wanted.value]}] if wanted else []
            if files:
                content = {kind: {"schema": {"type": "string"}, "example": example} for kind, example in files.items()}
                notes["requestBody"] = {"required": True, "content": content}
            decorated: Any = self.doc(operationId=name, **notes)(view)
            decorated = self.response(
                status, answer, example=gives, content_type=content_type, headers=_PAGINATION if paged else None
            )(decorated)
            # Instances: of a class the library would make one for every request.
            if query:
                decorated = self.arguments(resolve_schema_instance(query), location="query")(decorated)
            if body:
                decorated = self.arguments(resolve_schema_instance(body), example=sends)(decorated)
            decorated.scope = wanted  # the door looks here
            return decorated  # type: ignore[no-any-return]

        return decorate


def _without_keys(doc: dict[str, Any], doc_info: dict[str, Any], *, app: Flask, **_: Any) -> dict[str, Any]:
    """A document of a service that asks for no key does not say that it does."""
    if not app.config[WITH_KEYS]:
        notes = doc_info["manual_doc"]
        del notes["security"]
        notes["responses"].pop("401", None)
    return doc


def path_id(name: str, meaning: str) -> dict[str, Any]:
    """The documentation of an id in a path."""
    return {"in": "path", "name": name, "description": meaning, "example": 1}


def register(app: Flask, blueprints: Sequence[Blueprint], *, with_keys: bool) -> None:
    """Adds the blueprints to the application, and the document and its pages about them."""
    app.config |= {
        WITH_KEYS: with_keys,
        "API_TITLE": "Notification service",
        "API_VERSION": "1.0.0",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
    }
    app.url_map.converters |= {"id": IdConverter, "key": KeyConverter}
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    description = _DESCRIPTION.format(access=_WITH_KEYS if with_keys else _WITHOUT_KEYS)
    api = Api(app, spec_kwargs={"marshmallow_plugin": plugin, "info": {"description": description}})
    api.register_converter(
        IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
    )
    api.register_converter(KeyConverter, lambda _: {"type": "string", "pattern": f"^{KeyConverter.regex}$"})
    if with_keys:
        api.spec.components.security_scheme("key", _SCHEME)
    failures = _FAILURES if with_keys else _FAILURES | {403: _OTHER_SITE}
    headers = {status: of for status, of in _FAILURE_HEADERS.items() if with_keys or of is not _CHALLENGE}
    for status, (name, meaning, example) in (*failures.items(), *_FILE_FAILURES.items()):
        about: dict[str, Any] = {"description": meaning}
        about["content"] = {"application/json": {"schema": ErrorSchema, "example": example}}
        if status in headers:
            about["headers"] = headers[status]
        api.spec.components.response(name, about, lazy=True)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    app.register_blueprint(_swagger_ui(), url_prefix="/docs")
    app.after_request(_under_its_prefix)


def _under_its_prefix(response: Response) -> Response:
    """The document says where its paths begin, if a proxy has put them elsewhere."""
    if request.endpoint == "api-docs.openapi_json" and request.script_root:
        document = {**json.loads(response.get_data()), "servers": [{"url": request.script_root}]}
        response.set_data(json.dumps(document))
    return response


def _swagger_ui() -> Any:
    """Everything in it is named from the page's own place: a proxy may have put it under any path."""
    config = {
        "app_name": "Notification service",
        "oauth2RedirectUrl": "oauth2-redirect.html",  # else it is built from the Host header
        "validatorUrl": None,
        "displayRequestDuration": True,
        "tryItOutEnabled": True,
    }
    return get_swaggerui_blueprint(".", "../openapi.json", config=config)


def _schema_name(schema: SchemaLike | str) -> str:
    """Bodies of PATCH are schemas of their own, since nothing is required in them."""
    cls: Any = resolve_schema_cls(schema)
    name: str = cls.__name__.removesuffix("Schema")
    return f"{name}Changes" if isinstance(schema, Schema) and schema.partial else name
