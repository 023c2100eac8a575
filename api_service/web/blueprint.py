"""Operations: what a view takes, gives and fails with, declared once for the view itself and for the document."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from itertools import groupby
from typing import Any, TypeVar

import flask_smorest
from apispec.ext.marshmallow.common import resolve_schema_instance
from flask import Flask, g
from flask_smorest.utils import get_appcontext
from marshmallow import Schema

from api_service.web import idempotency, problems
from api_service.web.body import BodyParser
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.page import ANY_NAME
from api_service.web.parts import asked
from api_service.web.problems import Invalid, Problem

View = TypeVar("View", bound=Callable[..., Any])
SchemaLike = Schema | type[Schema]
Failures = tuple[type[Problem], ...]

WITH_KEYS = "WITH_KEYS"  # in the configuration of the application

_ALWAYS: Failures = (problems.Defect,)
_OF_THE_DOOR: Failures = (
    *(problems.Unauthorized, problems.TooSmall, problems.OtherSite),  # `_without_keys` takes out some
    *(problems.TooMany, problems.Unavailable, Invalid),  # invalid: a query parameter that is not known
)
_OF_A_BODY: Failures = (problems.NotJson, problems.BrokenOff, problems.TooLarge, problems.WrongType)
_OF_A_FILE: Failures = (
    *(problems.BrokenOff, problems.TooSlow, problems.TooLarge, problems.WrongType, problems.TooManyImports),
)
_OF_A_QUERY: Failures = (problems.AddressTooLong,)

_PAGINATION = {
    "X-Pagination": {
        "description": "With `page`; JSON: `total`, `total_pages`, `first_page`, `last_page`, `page`, `previous_page`,"
        " `next_page`.",
        "schema": {"type": "string"},
        "example": '{"total": 1, "total_pages": 1, "first_page": 1, "last_page": 1, "page": 1}',
    },
    "Link": {
        "description": 'With `after_id`, and if there is more: where, as `<…>; rel="next"` (RFC 8288).',
        "schema": {"type": "string"},
        "example": '</clients/?after_id=1042&page_size=50>; rel="next"',
    },
}


_ETAG = {
    "ETag": {
        "description": "Of its revision; for `If-Match`.",
        "required": True,
        "schema": {"type": "string"},
        "example": '"1"',
    }
}
_REPLAYED = {
    idempotency.REPLAYED: {
        "description": "`true` where this is the answer that was given to the first request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "Tags as `ETag` gave them, or `*`. If it has none of them any more, nothing is done and it is 412.",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'},
    "example": '"1"',
}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": idempotency.HEADER,
    "description": "Any text of your own for what is to be done, such as a random one. The same request under the same"
    f" key, within {idempotency.KEPT} hours, is carried out once and answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "9d1f0c1e-4b5a-4e0f-8d0e-6f3f2a1b7c55",
}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations that read their bodies and queries strictly and document every answer they give."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(self, name: str, description: str, prefix: str = "", *, is_open: bool = False) -> None:
        """name: of the tag, too. is_open: its operations need neither a key nor the database."""
        super().__init__(name, __name__, url_prefix=prefix, description=description)
        self._prepare_doc_cbks += [_with_headers, _without_keys]
        self._is_open = is_open
        self.failures: set[Failures] = set()
        """Those that its operations have for some status."""

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
        answer: SchemaLike | Mapping[str, str] | None = None,
        gives: object = None,
        content_type: str | None = None,
        exports: Mapping[str, str] | None = None,
        fails: Iterable[type[Problem]] = (),
        is_tagged: bool = False,
        is_conditional: bool = False,
        is_idempotent: bool = False,
    ) -> Callable[[View], View]:
        """Declares a view as the operation `name`.

        scope: what a key must allow; by default `read` for a GET and `write` for everything else.
        body, query: handed to the view in this order, loaded. sends, gives: examples of the request and the answer.
        files: examples by content type of a body that the view reads by itself.
        fails: beyond what follows from the rest. A query without files makes the answer, if there is one, a page of a
        list.
        exports: examples by content type of the list as a file, which the view writes by itself.
        is_tagged: the answer has an `ETag`, of its revision. is_conditional: it takes `If-Match`. is_idempotent: it
        takes an `Idempotency-Key`, and what it does is an action, which joins the transaction that keeps the answer.
        """
        kinds = {*fails, *_ALWAYS, *(() if self._is_open else _OF_THE_DOOR)}
        kinds |= {*(_OF_A_BODY if body else ()), *(_OF_A_FILE if files else ()), *(_OF_A_QUERY if query else ())}
        kinds |= {problems.TooManyExports} if exports else set()
        kinds |= {problems.Changed} if is_conditional else set()
        kinds |= {problems.InProgress, problems.KeyReused} if is_idempotent else set()
        answer_headers: dict[str, Any] = dict(
            _PAGINATION if query is not None and answer is not None and not files else {}
        )
        answer_headers |= (_ETAG if is_tagged else {}) | (_REPLAYED if is_idempotent else {})
        request_headers = [*([_IF_MATCH] if is_conditional else []), *([_IDEMPOTENCY_KEY] if is_idempotent else [])]
        known = frozenset(resolve_schema_instance(query).fields) if query else frozenset()

        def decorate(view: View) -> View:
            wanted = None if self._is_open else scope or (Scope.READ if view.__name__ == "get" else Scope.WRITE)
            # The failures all at once, because each of the library's decorators wraps the view once more.
            notes: dict[str, Any] = {"responses": self._responses(kinds)}
            notes["security"] = [{"key": [wanted.value]}] if wanted else []
            if files:
                content = {kind: {"schema": _file(kind), "example": example} for kind, example in files.items()}
                notes["requestBody"] = {"required": True, "content": content}
            decorated: Any = self.doc(operationId=name, **notes)(view)
            for kind, example in (exports or {}).items():  # what is declared last comes first in the document
                decorated = self.alt_response(status, schema={"type": "string"}, content_type=kind, example=example)(
                    decorated
                )
            decorated = self.response(
                status, answer, example=gives, content_type=content_type, headers=answer_headers or None
            )(decorated)
            if is_tagged:
                decorated = _tagged(decorated)
            # Instances: of a class the library would make one for every request.
            if query:
                decorated = self.arguments(resolve_schema_instance(query), location="query")(decorated)
            if body:
                decorated = self.arguments(resolve_schema_instance(body), example=sends)(decorated)
            if is_idempotent:
                decorated = _once(decorated, idempotency.once_file if files else idempotency.once)
            if is_conditional:
                decorated = _conditional(decorated)
            if not self._is_open:
                decorated = _strict(decorated, known)
            decorated._apidoc["request_headers"] = request_headers
            decorated.scope = wanted  # the door looks here
            return decorated  # type: ignore[no-any-return]

        return decorate

    def _responses(self, kinds: Iterable[type[Problem]]) -> dict[str, str]:
        """The name of the component of each status."""
        order = list(problems.TYPES.values())
        grouped = groupby(sorted(kinds, key=lambda kind: (kind.status, order.index(kind))), lambda kind: kind.status)
        together = {str(int(status)): tuple(some) for status, some in grouped}
        self.failures |= set(together.values())
        return {status: component_name(some) for status, some in together.items()}


def _file(content_type: str) -> dict[str, str]:
    return {"type": "string"} if content_type != "application/octet-stream" else {"type": "string", "format": "binary"}


def component_name(some: Failures) -> str:
    return "Or".join(kind.__name__ for kind in some)


def path_id(name: str, meaning: str) -> dict[str, Any]:
    """The documentation of an id in a path."""
    return {"in": "path", "name": name, "description": meaning, "example": 1}


def _strict(view: Callable[..., Any], known: frozenset[str]) -> Callable[..., Any]:
    """The view, where every query parameter has to be known and given once. `a.<name>` stands for all that begin so."""
    open_ones = tuple(name.removesuffix(ANY_NAME) for name in known if name.endswith(ANY_NAME))

    def fault(name: str, times: int) -> str | None:
        if name not in known and not name.startswith(open_ones):
            return "Unknown query parameter."
        return "Is given twice." if times > 1 else None

    @wraps(view)
    def strict(*args: Any, **values: Any) -> Any:
        request = asked()
        if request.query_string:
            told = {name: fault(name, len(some)) for name, some in request.args.lists()}
            if faults := {name: [words] for name, words in told.items() if words}:
                raise Invalid(faults, place="query")
        return view(*args, **values)

    return strict


def _tagged(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def tagged(*args: Any, **values: Any) -> Any:
        response = view(*args, **values)
        response.headers["ETag"] = etag(get_appcontext()["result_dump"]["revision"])
        return response

    return tagged


def _conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def conditional(*args: Any, **values: Any) -> Any:
        header = asked().headers.get("If-Match")
        if header is not None:
            g.match = Match.parsed(header)
        return view(*args, **values)

    return conditional


def _once(view: Callable[..., Any], once: Callable[[Callable[[], Any]], Any]) -> Callable[..., Any]:
    @wraps(view)
    def idempotent(*args: Any, **values: Any) -> Any:
        return once(partial(view, *args, **values))

    return idempotent


def _with_headers(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The library's own way to document a header hands it to the view, too."""
    if headers := doc_info.get("request_headers"):
        doc["parameters"] = [*doc.get("parameters", []), *headers]
    return doc


def _without_keys(doc: dict[str, Any], doc_info: dict[str, Any], *, app: Flask, **_: Any) -> dict[str, Any]:
    """A document of a service that asks for no key does not say that it does, and one that does nothing of sites."""
    responses = doc_info["manual_doc"]["responses"]
    with_keys = app.config[WITH_KEYS]
    if "403" in responses and doc_info["manual_doc"].get("security") != []:  # the open ones have their own
        responses["403"] = component_name((problems.TooSmall if with_keys else problems.OtherSite,))
    if not with_keys:
        del doc_info["manual_doc"]["security"]
        if responses.get("401") == component_name((problems.Unauthorized,)):
            del responses["401"]
    return doc
