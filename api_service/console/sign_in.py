"""/console/sign-in/, /console/sign-out/, and the language of the pages."""

from flask import Response

from api_service.console import entry, forms, provider_sign_in
from api_service.console.language import COOKIE as LANGUAGE
from api_service.console.language import NAMES
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.web.parts import asked
from api_service.web.visit import COOKIE, Visit

_A_YEAR = 365 * 24 * 3600


@page("/sign-in/", scope=None)
def sign_in() -> Response:
    if entry.sessions() is None:  # nobody needs to
        return see("/")
    return entry.offer(asked().args.get("next", ""))


@page("/sign-in/", scope=None, methods=["POST"])
def take_key() -> Response:
    request, sessions = asked(), entry.sessions()
    if sessions is None:
        return see("/")
    entry.count()
    visit = sessions.open(request.form.get("key", "").strip())
    back = request.form.get("next", "")
    if not isinstance(visit, Visit):
        return entry.offer(back, _("This key opens nothing."), 403)
    return entry.begin(visit, back)


@page("/sign-out/", methods=["POST"])
def sign_out() -> Response:
    """Here, and then at the identity provider, for whoever came from there."""
    sessions = entry.sessions()
    id_token = sessions.close(asked().cookies.get(COOKIE, "")) if sessions else None
    response = provider_sign_in.leave(id_token) if id_token else see("/sign-in/")
    response.delete_cookie(COOKIE, path=entry.cookie_path())
    return response


@page("/language/", scope=None, methods=["POST"])
def choose_language() -> Response:
    request = asked()
    response = entry.go(forms.own_path(request.form.get("next", ""), request.script_root))
    if (chosen := request.form.get("language")) in NAMES:
        response.set_cookie(LANGUAGE, chosen, max_age=_A_YEAR, path=entry.cookie_path(), httponly=True, samesite="Lax")
    return response
