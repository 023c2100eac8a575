"""/console/sessions/: who is signed in."""

import re

from flask import Response

from api_service.access import session_actions as actions
from api_service.console import rendering
from api_service.console.pages import page, see
from api_service.web.key import Scope
from api_service.web.parts import asked, working
from api_service.web.problems import NotFound

_SIZE = 25
_ID = re.compile("[0-9a-f]{64}")


@page("/sessions/", scope=Scope.ADMIN)
def sessions() -> Response:
    given = asked().args.get("after", "")
    rows, next_id = actions.list_part(working(), given if _ID.fullmatch(given) else "", _SIZE)
    return rendering.page("sessions.html", listing={"rows": rows, "next_id": next_id})


@page("/sessions/<session_id>/end/", scope=Scope.ADMIN)
def ask_end(session_id: str) -> Response:
    return rendering.page("session_end.html", one=actions.find(working(), _checked(session_id)))


@page("/sessions/<session_id>/end/", scope=Scope.ADMIN, methods=["POST"])
def end_session(session_id: str) -> Response:
    actions.end(working(), _checked(session_id))
    return see("/sessions/")


def _checked(session_id: str) -> str:
    """Raises NotFound."""
    if not _ID.fullmatch(session_id):
        raise NotFound("There is no such session, or no more.")
    return session_id
