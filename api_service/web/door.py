"""Who may do what, how often, and how much at once: asked before every request.

Whatever does not say that it is open needs a key, also a place that there is not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from flask import Flask, Request, current_app, g

from api_service.web.key import Caller, Key, Keyring, Person, Scope, parsed
from api_service.web.loopback import is_from_here
from api_service.web.middleware import about, known_as
from api_service.web.parts import asked
from api_service.web.problems import OtherSite, TooMany, TooSmall, Unauthorized
from api_service.web.rate import Rate
from api_service.web.refusal import Refusal
from api_service.web.share import Share
from api_service.web.visit import COOKIE, Sessions, Visit
from api_service.web.watch import FRESH, Asking, Watch, Watched

_OPEN = frozenset(  # the documents; they hold no secret
    {"root", "docs", "api-docs.openapi_json", "swagger_ui.show", "error_pages.index", "error_pages.page"}
)


CONSOLE = "console"
"""The blueprint of its pages, which people see in place of an API, and open with a session in place of a key."""


class LastUse(Protocol):
    def note(self, key_id: str) -> None:
        """That it was used just now."""


def register(
    app: Flask,
    keyring: Keyring | None,
    rate: Rate,
    share: Share,
    *,
    last_use: LastUse,
    watch: Watch | None,
    sessions: Sessions | None,
) -> None:
    """keyring, watch, sessions: None where API_AUTH is off."""

    def admit() -> None:
        request = asked()
        wanted = _wanted(request)
        if wanted is None:
            return
        if sessions and request.blueprint == CONSOLE:
            found: Caller | Refusal | None = _visitor(sessions, request)
        else:
            found = _found(keyring, request) if keyring else None
        if isinstance(found, Caller):
            known_as(found.id)
        if not rate.allows(found.id if isinstance(found, Caller) else f"address {request.remote_addr}"):
            raise TooMany(Refusal.RATE, "Too many requests in this second.")
        if isinstance(found, Refusal):
            raise Unauthorized(found)
        if isinstance(found, Caller):
            if isinstance(found, Key):
                last_use.note(found.id)
            if not found.scope.allows(wanted):
                raise TooSmall(wanted, is_test=found.scope is Scope.TEST)
            if not share.enter(found.id):
                raise TooMany(Refusal.SHARE, f"{share.most} requests with this key are under way here already.")
            g.entered = found.id
            g.key = found
        elif not is_from_here(request.host, request.headers.get("Origin")):
            raise OtherSite()

    def leave(_error: BaseException | None) -> None:
        if entered := g.pop("entered", None):
            share.leave(entered)

    app.before_request(admit)
    app.teardown_request(leave)
    app.extensions |= {"watch": watch, "share": share, "rate": rate, "sessions": sessions, "keyring": keyring}


def kept_share() -> Callable[[], None]:
    """The present request has its share until what is returned is called: its answer is written when it is over."""
    share: Share = current_app.extensions["share"]
    entered: str | None = g.pop("entered", None)
    return (lambda: None) if entered is None else (lambda: share.leave(entered))


@contextmanager
def watched() -> Iterator[Watched | None]:
    """The present request, which goes on for long, under the watch of its key or session; None: it needs none."""
    watch: Watch | None = current_app.extensions["watch"]
    if watch is None:
        yield None
    else:
        with watch.over(_still_open()) as one:
            yield one


def _still_open() -> Asking:
    """A question that can be asked without the request: on another thread, as long as it lasts."""
    if isinstance(g.key, Person):
        sessions: Sessions = current_app.extensions["sessions"]
        return partial(sessions.find, g.visit.cookie)
    keyring: Keyring = current_app.extensions["keyring"]
    return partial(keyring.named, g.key.id, FRESH)


def _wanted(request: Request) -> Scope | None:
    """The scope that the request asks for, as its operation declares it; None: it is open."""
    if request.endpoint in _OPEN:
        return None
    view = current_app.view_functions.get(request.endpoint or "")
    if view_class := getattr(view, "view_class", None):
        view = getattr(view_class, "get" if request.method == "HEAD" else request.method.lower(), None)
    return getattr(view, "scope", Scope.READ)


def _visitor(sessions: Sessions, request: Request) -> Caller | Refusal:
    """Whose session it is: a page is asked for without a key. Raises SQLAlchemyError."""
    visit = sessions.find(request.cookies[COOKIE]) if COOKIE in request.cookies else Refusal.NO_SESSION
    if isinstance(visit, Visit):
        about(**{"person" if isinstance(visit.key, Person) else "key": visit.key.id})
        g.visit = visit
        return visit.key
    return visit


def _found(keyring: Keyring, request: Request) -> Key | Refusal:
    """Raises SQLAlchemyError."""
    if "authorization" not in request.headers:
        return Refusal.NO_KEY
    given = request.authorization
    token = parsed(given.token) if given is not None and given.type == "bearer" and given.token else None
    if token is None:
        return Refusal.MALFORMED
    about(key=token.id)  # of one that is refused, too; who made it up is told by the address
    return keyring.find(token)
