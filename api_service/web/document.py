"""The OpenAPI document, at /openapi.json, and Swagger UI, at /docs/, whose assets come from an installed package."""

import json
from collections.abc import Sequence
from threading import Lock
from typing import Any

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import Flask, Response, redirect
from flask_swagger_ui import get_swaggerui_blueprint
from marshmallow.fields import Field
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import BaseConverter, ValidationError

from api_service.web import answers, error_pages, upload
from api_service.web.blueprint import WITH_KEYS, Blueprint, Failures, SchemaLike, component_name
from api_service.web.body import MAX_BYTES
from api_service.web.enums import shared_enums
from api_service.web.fields import YEARS
from api_service.web.parts import asked
from api_service.web.problems import OtherSite, Problem, TooSmall
from api_service.web.schema import ErrorSchema, named
from shared.version import VERSION

MAX_ID = 2**63 - 1

_DESCRIPTION = f"""\
A directory of clients, mailings to them, and where every message stands.

* Bodies are JSON of at most {MAX_BYTES // 1024} KiB, sent as `application/json`. Unknown fields and query
  parameters are refused. Files of clients are CSV or NDJSON of at most {upload.MAX_BYTES // 2**20} MiB. Both are taken
  with `Content-Encoding: gzip`, too; the limits are of what is unpacked.
* Dates and times are ISO 8601 with an offset from UTC, of the years {YEARS[0]} to {YEARS[-1]}; answers are in UTC.
* Lists come in pages, in the order of ids: `page` and `page_size` in the query, the header `X-Pagination` in the
  answer; or `after_id` and `page_size`, and the header `Link` in the answer, which walks a list without a gap.
* {{access}}
* Every error is an object with `type`, `code`, `status`, `message` and `errors`; `errors` names the fields that are at
  fault. `type` is one of a closed list, and `/docs/errors/` says of each what it means and what helps.
* Every answer carries `X-Request-ID`, the one of the request or a new one; the log has it too, always where something
  was changed, and else unless many of a kind came in a few seconds.
* After a 503, or no answer, the same request may be tried again, a `POST` that creates something under the same
  `Idempotency-Key` as before: else it may be carried out twice.
* A thing that users can set has a `revision`, and its answers an `ETag`; a change with `If-Match` is made to what
  whoever asks has seen, or not at all.
"""
_WITH_KEYS = """\
Every request but those for the health of the service carries an API key: `Authorization: Bearer nsk_…`. A key of the
  scope `read` may look, `write` may change things, `admin` may see to the keys themselves. With one of the scope `test`
  mailings can be made and changed, and nothing else: they are tests, which go through the built-in provider and reach
  nobody, and the only mailings that it sees."""
_WITHOUT_KEYS = """\
No request needs a key (`API_AUTH=off`): the service is for programs on its own machine, and refuses pages of other
  sites."""


_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "nsk_…",
    "description": "An API key, made by `python -m api_service keys create`. An operation names the scope that it"
    " needs; a larger one does as well.",
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


class ProviderConverter(BaseConverter):
    """The name of a provider in a path."""

    regex = "[a-z][a-z0-9_-]{0,31}"


class Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    """flask-smorest's, with our shape of errors and a document that says of no answer more than is true.

    The document is made when somebody asks for it: it takes longer than all else that an application is made of.
    """

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # every operation names its own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._told: dict[str, Any] | None = None
        self._untold: list[Blueprint] = []
        self._telling = Lock()
        super().__init__(*args, **kwargs)

    def register_blueprint(self, blueprint: Blueprint) -> None:
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)
        self._untold.append(blueprint)

    def _openapi_json(self) -> Response:
        """With the address by which it was asked, which a proxy may have put a prefix before."""
        told = {**self._document(), "servers": [{"url": asked().script_root or "/"}]}
        return Response(json.dumps(told, indent=2, ensure_ascii=False), content_type="application/json")

    def _document(self) -> dict[str, Any]:
        with self._telling:
            if self._told is None:
                for blueprint in self._untold:
                    blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
                    self.spec.tag({"name": blueprint.name, "description": blueprint.description})
                self._told = shared_enums(self.spec.to_dict())
            return self._told

    def handle_http_exception(self, error: HTTPException) -> Response:
        return answers.from_http(error)


def register(app: Flask, blueprints: Sequence[Blueprint], *, with_keys: bool) -> None:
    """Adds the blueprints to the application, and the document and its pages about them."""
    app.config |= {
        WITH_KEYS: with_keys,
        "API_TITLE": "Notification service",
        "API_VERSION": VERSION,
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
    }
    app.url_map.converters |= {"id": IdConverter, "key": KeyConverter, "provider": ProviderConverter}
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    description = _DESCRIPTION.format(access=_WITH_KEYS if with_keys else _WITHOUT_KEYS)
    api = Api(app, spec_kwargs={"marshmallow_plugin": plugin, "info": {"description": description}})
    if plugin.converter:  # there is one, since there is a document
        plugin.converter.add_attribute_function(_names)  # type: ignore[no-untyped-call]
    api.register_converter(
        IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
    )
    for shaped in (KeyConverter, ProviderConverter):
        api.register_converter(shaped, _pattern)
    if with_keys:
        api.spec.components.security_scheme("key", _SCHEME)
    found = {kinds for blueprint in blueprints for kinds in blueprint.failures} | {(TooSmall,), (OtherSite,)}
    for kinds in sorted(found, key=component_name):
        api.spec.components.response(component_name(kinds), _failure(kinds), lazy=True)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    app.register_blueprint(_swagger_ui(), url_prefix="/docs")
    app.register_blueprint(error_pages.blueprint)
    for path in ("/docs", "/docs/errors", "/docs/errors/<slug>"):  # by themselves, since these are open
        app.add_url_rule(path, "docs", _with_its_slash)


def _pattern(converter: BaseConverter) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{converter.regex}$"}


def _names(_: Any, field: Field[Any], **__: Any) -> dict[str, Any]:
    """What the names of an object's members may be: the library drops it."""
    names = field.metadata.get("propertyNames")
    return {"propertyNames": names} if names else {}


def _failure(kinds: Failures) -> dict[str, Any]:
    """All that an operation can fail with under one status."""
    headers = {name: meaning for kind in kinds for name, meaning in kind.answer_headers.items()}
    number = {"Retry-After": "integer"}
    about: dict[str, Any] = {
        "description": " ".join(f"`{kind.type}`: {kind.meaning}" for kind in kinds),
        "content": {"application/json": {"schema": ErrorSchema} | _examples(kinds)},
    }
    if headers:
        about["headers"] = {
            name: {"description": meaning, "schema": {"type": number.get(name, "string")}}
            for name, meaning in headers.items()
        }
    return about


def _examples(kinds: Failures) -> dict[str, Any]:
    examples = {kind.type: _example(kind) for kind in kinds}
    if len(kinds) == 1:
        return {"example": examples[kinds[0].type]}
    return {"examples": {name: {"value": example} for name, example in examples.items()}}


def _example(kind: type[Problem]) -> dict[str, Any]:
    message, found = kind.sample
    status = HTTP_STATUS_CODES[kind.status]
    return {"type": kind.type, "code": int(kind.status), "status": status, "message": message, "errors": dict(found)}


def _with_its_slash(**_: str) -> Any:
    request = asked()
    return redirect(f"{request.script_root}{request.path}/", 308)


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
    title: str | None = getattr(schema, "title", None)
    kind: Any = resolve_schema_cls(schema)
    return title or named(kind)
