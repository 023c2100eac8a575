"""What all pages of the console have in common: who may see one, its headers, and what an error looks like.

A page is a function that returns what `rendering.page` made. It asks the actions of the rooms, as the API does.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Blueprint, Response, current_app, g, make_response, redirect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from api_service.console import forms, rendering, sentences
from api_service.console.forms import StaleForm
from api_service.console.language import marked as _
from api_service.web import answers
from api_service.web.door import CONSOLE
from api_service.web.key import Scope
from api_service.web.parts import asked
from api_service.web.problems import NotFound, Problem, Unauthorized
from api_service.web.refusal import Refusal

View = TypeVar("View", bound=Callable[..., Any])

blueprint = Blueprint(CONSOLE, __name__, url_prefix="/console")

_HEADERS = {
    # Everything comes from here, nothing is written into a page, and forms go nowhere else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # With `no-referrer` browsers say of our own forms that they come from nowhere.
    "Referrer-Policy": "same-origin",
}


def page(
    rule: str, *, scope: Scope | None = Scope.READ, methods: Sequence[str] = ("GET",), takes_file: bool = False
) -> Callable[[View], View]:
    """Adds a page. scope: that a key must allow; None: it is open. What is sent to it comes from a form of ours, which
    one that takes a file reads by itself (`file_form`)."""

    def add(view: View) -> View:
        @wraps(view)
        def guarded(**values: Any) -> Any:
            request = asked()
            if request.method == "POST":
                forms.check_site(request)
                if scope is not None and not takes_file:
                    forms.check_token(request.form.get(forms.FIELD, ""))
            return view(**values)

        guarded.scope = scope  # type: ignore[attr-defined]  # the door looks here
        blueprint.add_url_rule(rule, view.__name__, guarded, methods=methods, provide_automatic_options=False)
        return view

    return add


def see(path: str) -> Response:
    """Sends whoever has sent a form to the page that shows what came of it. path: below /console."""
    return redirect(f"{asked().script_root}/console{path}", HTTPStatus.SEE_OTHER)  # type: ignore[return-value]


@page("", scope=None)
def without_its_slash() -> Response:
    return see("/")


@page("/<path:rest>")
def none_here(rest: str) -> Response:
    raise NotFound(f"There is no page /console/{rest[:100]}.")


@blueprint.after_request
def _with_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@blueprint.errorhandler(Unauthorized)
def _sign_in(problem: Unauthorized) -> Response:
    """Whoever is not signed in any more comes back to where they were. A part of a page says so, and the page looks
    for itself: put into the page, the form to sign in would be lost in it."""
    request = asked()
    g.refusal = problem.reason
    if rendering.is_part(request):
        return make_response("", HTTPStatus.UNAUTHORIZED, {"X-Signed-Out": "true"})
    back = "" if request.method != "GET" else forms.here(request)
    target = f"{request.script_root}/console/sign-in/"
    return redirect(f"{target}?next={quote(back)}" if back else target, HTTPStatus.SEE_OTHER)  # type: ignore[return-value]


@blueprint.errorhandler(StaleForm)
def _stale(_form: StaleForm) -> Response:
    g.refusal = Refusal.FORM
    message = _("This page was out of date: go back, load it again, and try once more. Nothing was changed.")
    return _shown(HTTPStatus.FORBIDDEN, message)


@blueprint.errorhandler(Problem)
def _problem(problem: Problem) -> Response:
    response = answers.from_problem(problem)  # it notes the reason
    faults = [one for place in problem.errors.values() for one in sentences.flat(place)]
    return _shown(problem.status, problem.message, faults, [*response.headers.items()])


def _database(error: DBAPIError | PoolTimeout) -> Response:
    """As the API answers it, in a page; what is a defect stays one."""
    response = answers.from_database(current_app.extensions["request_log"], error)
    return _shown(HTTPStatus(response.status_code), _("The database does not answer. Nothing was changed."))


for _kind in answers.DATABASE_TROUBLES:
    blueprint.register_error_handler(_kind, _database)


@blueprint.errorhandler(HTTPException)
def _http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    return _shown(status, error.description or status.description)


def _shown(
    status: HTTPStatus, message: str, faults: Sequence[str] = (), headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """faults: what is wrong in particular."""
    response = rendering.page("error.html", status=int(status), message=message, faults=faults)
    response.status_code = status
    for name, value in headers:
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response
