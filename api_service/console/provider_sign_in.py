"""/console/sign-in/provider/, and what comes back from there: people sign in at the identity provider, and out."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Response, current_app, g, redirect

from api_service.access import people
from api_service.access.oidc import attempt
from api_service.access.oidc.attempt import Attempt
from api_service.access.oidc.errors import Away, Unproven
from api_service.access.oidc.identity import Identity
from api_service.console import entry, rendering
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.web.key import Scope
from api_service.web.middleware import about
from api_service.web.parts import asked
from api_service.web.refusal import Refusal
from api_service.web.request_log import RequestLog
from api_service.web.visit import Visit
from shared import clock, logs

if TYPE_CHECKING:
    from api_service.access.oidc.provider import IdentityProvider

_COOKIE = "console_sign_in"
_LONGEST_REFRESH = 2000
"""Characters. A proxy refuses longer headers; then the page has its link alone."""

_log = logs.logger()


@page("/sign-in/provider/", scope=None)
def sign_in_there() -> Response:
    """A link, not a form: the policy of our pages lets no form lead elsewhere. `again`: whoever has signed in proves
    once more who they are."""
    request, provider = asked(), entry.identity_provider()
    if provider is None:
        return see("/sign-in/")
    entry.count()
    back = request.args.get("next", "")
    begun = attempt.begin(clock.now(), back, is_again="again" in request.args)
    try:
        response: Response = redirect(provider.address(begun, _return_address()), 303)  # type: ignore[assignment]
    except Away as away:
        return _not_there(back, away)
    response.set_cookie(
        _COOKIE, begun.cookie(), max_age=attempt.LASTS, path=_cookie_path(), secure=request.is_secure, httponly=True,
        samesite="Lax",
    )  # fmt: skip
    return response


@page("/sign-in/return/", scope=None)
def come_back() -> Response:
    """Whatever comes of it, the same answer of the provider is not taken twice."""
    provider = entry.identity_provider()
    if provider is None:
        return see("/sign-in/")
    entry.count("returns")
    begun = attempt.parsed(asked().cookies.get(_COOKIE, ""))
    response = _taken(provider, begun) if begun else _unproven("", "this browser has begun no sign-in")
    response.delete_cookie(_COOKIE, path=_cookie_path())
    return response


def leave(id_token: str) -> Response:
    """Somebody has signed out here. Their browser goes on by itself: the answer to a form may not lead elsewhere."""
    provider, here = entry.identity_provider(), f"{asked().root_url}console/sign-in/"
    try:
        address = provider.end_address(id_token, here) if provider else None
    except Away as away:
        _tell(Refusal.NO_PROVIDER, str(away))
        address = None
    if address is None:
        return see("/sign-in/")
    response = rendering.page("signed_out.html", address=address, here=f"{asked().script_root}/console/sign-in/")
    if len(address) <= _LONGEST_REFRESH:
        response.headers["Refresh"] = f"0; url={address}"
    return response


def _taken(provider: "IdentityProvider", begun: Attempt) -> Response:
    try:
        identity = provider.identify(begun, asked().args, _return_address())
    except Away as away:
        return _not_there(begun.back, away)
    except Unproven as unproven:
        return _unproven(begun.back, str(unproven))
    return _known(identity, begun.back)


def _known(identity: Identity, back: str) -> Response:
    sessions, by_group = entry.sessions(), current_app.extensions["scopes_by_group"]
    if sessions is None:
        return see("/")
    found: Mapping[str, Scope] = by_group
    visit = sessions.open_for(identity, people.allowed(identity.groups, found), g.request_id)
    if not isinstance(visit, Visit):
        _tell(visit, f"they are in {len(identity.groups)} groups, and in none of OIDC_SCOPES_BY_GROUP")
        fault = _("You are in no group that may use this service. Whoever runs it can tell which ones do.")
        return entry.offer(back, fault, 403)
    about(person=visit.key.id)
    _log.info("signed_in", scope=str(visit.key.scope))
    return entry.begin(visit, back)


def _unproven(back: str, why: str) -> Response:
    _tell(Refusal.SIGN_IN, why)
    return entry.offer(
        back, _("The identity provider did not say who you are, or said it too late. Try once more."), 403
    )


def _not_there(back: str, away: Away) -> Response:
    _tell(Refusal.NO_PROVIDER, str(away))
    return entry.offer(back, _("The identity provider does not answer. Try again in a moment."), 503)


def _tell(reason: Refusal, why: str) -> None:
    g.refusal = reason
    log: RequestLog = current_app.extensions["request_log"]
    log.write(
        logging.WARNING, "sign_in_failed", asked().remote_addr, ("sign_in_failed", reason), reason=reason, why=why
    )


def _return_address() -> str:
    return f"{asked().root_url}console/sign-in/return/"


def _cookie_path() -> str:
    return f"{asked().script_root}/console/sign-in/"
