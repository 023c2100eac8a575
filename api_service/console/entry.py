"""What the ways to sign in have in common: what is offered, how often one may try, and the session that begins."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Response, current_app, redirect

from api_service.access.sessions import Sessions
from api_service.console import forms, rendering
from api_service.console.pages import see
from api_service.web.parts import asked
from api_service.web.problems import TooMany
from api_service.web.rate import Rate
from api_service.web.refusal import Refusal
from api_service.web.visit import COOKIE, Visit

if TYPE_CHECKING:  # where there is none, nobody waits until its libraries are loaded
    from api_service.access.oidc.provider import IdentityProvider


def sessions() -> Sessions | None:
    """None where nobody signs in."""
    found: Sessions | None = current_app.extensions["sessions"]
    return found


def identity_provider() -> "IdentityProvider | None":
    """None where people sign in with keys alone."""
    found: IdentityProvider | None = current_app.extensions["identity_provider"]
    return found


def offer(back: str, fault: str | None = None, status: int = 200) -> Response:
    """What there is to sign in with. back: where to go on then."""
    provider = identity_provider()
    response = rendering.page(
        "sign_in.html",
        fault=fault,
        next=back,
        provider=urlsplit(provider.client.issuer).hostname if provider else None,
        takes_keys=current_app.extensions["console_keys"],
        here=f"{asked().script_root}/console/sign-in/",
    )
    response.status_code = status
    return response


def count(extension: str = "rate") -> None:
    """That somebody tries once more. Raises TooMany."""
    rate: Rate = current_app.extensions[extension]
    if not rate.allows(f"address {asked().remote_addr}"):
        raise TooMany(Refusal.RATE, "Too many requests in this second.")


def begin(visit: Visit, back: str) -> Response:
    """Sends whoever has just signed in to where they wanted to go. The session is new, and the one that was there is
    over: one that somebody has planted in a browser opens nothing."""
    request, known = asked(), sessions()
    if known and (old := request.cookies.get(COOKIE)):
        known.close(old)
    response = go(forms.own_path(back, request.script_root))
    response.set_cookie(
        COOKIE, visit.cookie, path=cookie_path(), secure=request.is_secure, httponly=True, samesite="Lax"
    )  # until the browser is closed, and in the database for some hours
    return response


def go(path: str | None) -> Response:
    return see("/") if path is None else redirect(path, 303)  # type: ignore[return-value]


def cookie_path() -> str:
    return f"{asked().script_root}/console/"
