"""Operations: what a view takes, gives and fails with, declared once for the view itself and for the document."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import groupby
from typing import Any, TypeVar

import flask_smorest
from apispec.ext.marshmallow.common import resolve_schema_instance
from flask import Flask
from marshmallow import Schema

from api_service.web import problems
from api_service.web.body import BodyParser
from api_service.web.key import Scope
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
_OF_A_BODY: Failures = (problems.NotJson, problems.TooLarge, problems.WrongType)
_OF_A_FILE: Failures = (
    *(problems.BrokenOff, problems.TooSlow, problems.TooLarge, problems.WrongType, problems.TooManyImports),
)
_OF_A_QUERY: Failures = (problems.AddressTooLong,)

_PAGINATION = {
    "X-Pagination": {
        "description": "JSON: `total`, `total_pages`, `first_page`, `last_page`, `page`, `previous_page`, `next_page`.",
        "required": True,
        "schema": {"type": "string"},
        "example": '{"total": 1, "total_pages": 1, "first_page": 1, "last_page": 1, "page": 1}',
    }
}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations that read their bodies and queries strictly and document every answer they give."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(self, name: str, description: str, prefix: str = "", *, is_open: bool = False) -> None:
        """name: of the tag, too. is_open: its operations need neither a key nor the database."""
        super().__init__(name, __name__, url_prefix=prefix, description=description)
        self._prepare_doc_cbks.append(_without_keys)
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
        answer: SchemaLike | None = None,
        gives: object = None,
        content_type: str | None = None,
        fails: Iterable[type[Problem]] = (),
    ) -> Callable[[View], View]:
        """Declares a view as the operation `name`.

        scope: what a key must allow; by default `read` for a GET and `write` for everything else.
        body, query: handed to the view in this order, loaded. sends, gives: examples of the request and the answer.
        files: examples by content type of a body that the view reads by itself.
        fails: beyond what follows from the rest. A query without files makes the answer one page of a list.
        """
        kinds = {*fails, *_ALWAYS, *(() if self._is_open else _OF_THE_DOOR)}
        kinds |= {*(_OF_A_BODY if body else ()), *(_OF_A_FILE if files else ()), *(_OF_A_QUERY if query else ())}
        paged = query is not None and not files
        known = frozenset(resolve_schema_instance(query).fields) if query else frozenset()

        def decorate(view: View) -> View:
            wanted = None if self._is_open else scope or (Scope.READ if view.__name__ == "get" else Scope.WRITE)
            # The failures all at once, because each of the library's decorators wraps the view once more.
            notes: dict[str, Any] = {"responses": self._responses(kinds)}
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
            if not self._is_open:
                decorated = _strict(decorated, known)
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


def component_name(some: Failures) -> str:
    return "Or".join(kind.__name__ for kind in some)


def path_id(name: str, meaning: str) -> dict[str, Any]:
    """The documentation of an id in a path."""
    return {"in": "path", "name": name, "description": meaning, "example": 1}


def _strict(view: Callable[..., Any], known: frozenset[str]) -> Callable[..., Any]:
    """The view, where every query parameter has to be known and given once."""

    @wraps(view)
    def strict(*args: Any, **values: Any) -> Any:
        request = asked()
        if request.query_string:
            faults = {name: ["Unknown query parameter."] for name in request.args if name not in known}
            faults |= {name: ["Is given twice."] for name in known if len(request.args.getlist(name)) > 1}
            if faults:
                raise Invalid(faults, place="query")
        return view(*args, **values)

    return strict


def _without_keys(doc: dict[str, Any], doc_info: dict[str, Any], *, app: Flask, **_: Any) -> dict[str, Any]:
    """A document of a service that asks for no key does not say that it does, and one that does nothing of sites."""
    responses = doc_info["manual_doc"]["responses"]
    with_keys = app.config[WITH_KEYS]
    if "403" in responses:
        responses["403"] = component_name((problems.TooSmall if with_keys else problems.OtherSite,))
    if not with_keys:
        del doc_info["manual_doc"]["security"]
        responses.pop("401", None)
    return doc
