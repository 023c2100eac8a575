"""/console/sign-in/, /console/sign-out/, and the language of the pages."""

from flask import Response, current_app, redirect

from api_service.console import forms, rendering
from api_service.console.language import COOKIE as LANGUAGE
from api_service.console.language import NAMES
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.web.parts import asked
from api_service.web.problems import TooMany
from api_service.web.rate import Rate
from api_service.web.refusal import Refusal
from api_service.web.visit import COOKIE, Sessions, Visit

_A_YEAR = 365 * 24 * 3600


@page("/sign-in/", scope=None)
def sign_in() -> Response:
    if _sessions() is None:  # nobody needs to
        return see("/")
    return rendering.page("sign_in.html", fault=None, next=asked().args.get("next", ""))


@page("/sign-in/", scope=None, methods=["POST"])
def take_key() -> Response:
    """A session begins anew with every sign-in, so one that somebody has planted in a browser opens nothing."""
    request, sessions = asked(), _sessions()
    if sessions is None:
        return see("/")
    rate: Rate = current_app.extensions["rate"]
    if not rate.allows(f"address {request.remote_addr}"):
        raise TooMany(Refusal.RATE, "Too many requests in this second.")
    visit = sessions.open(request.form.get("key", "").strip())
    back = request.form.get("next", "")
    if not isinstance(visit, Visit):
        response = rendering.page("sign_in.html", fault=_("This key opens nothing."), next=back)
        response.status_code = 403
        return response
    if old := request.cookies.get(COOKIE):
        sessions.close(old)
    response = _go(forms.own_path(back, request.script_root))
    response.set_cookie(
        COOKIE, visit.cookie, path=_path(), secure=request.is_secure, httponly=True, samesite="Lax"
    )  # until the browser is closed, and in the database for some hours
    return response


@page("/sign-out/", methods=["POST"])
def sign_out() -> Response:
    if sessions := _sessions():
        sessions.close(asked().cookies.get(COOKIE, ""))
    response = see("/sign-in/")
    response.delete_cookie(COOKIE, path=_path())
    return response


@page("/language/", scope=None, methods=["POST"])
def choose_language() -> Response:
    request = asked()
    response = _go(forms.own_path(request.form.get("next", ""), request.script_root))
    if (chosen := request.form.get("language")) in NAMES:
        response.set_cookie(LANGUAGE, chosen, max_age=_A_YEAR, path=_path(), httponly=True, samesite="Lax")
    return response


def _sessions() -> Sessions | None:
    found: Sessions | None = current_app.extensions["sessions"]
    return found


def _go(path: str | None) -> Response:
    return see("/") if path is None else redirect(path, 303)  # type: ignore[return-value]


def _path() -> str:
    return f"{asked().script_root}/console/"
