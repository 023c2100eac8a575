"""/console/: what is going on at this moment, and what needs a person."""

from typing import Any

from flask import Response

from api_service.console import rendering
from api_service.console.live import shared
from api_service.console.pages import page
from api_service.mailings import actions as mailings
from api_service.tracking import overview
from api_service.web.page import After
from api_service.web.parts import working
from shared.domain.mailing import MailingState, PausedBecause

_SHOWN = 20


@page("/")
def now() -> Response:
    return rendering.page("now.html", **_seen())


@page("/now/")
@shared
def now_live() -> Response:
    return rendering.part("now_live.html", is_over=False, **_seen())


def _seen() -> dict[str, Any]:
    """The number of questions does not grow with that of mailings."""
    work, some = working(), After(0, _SHOWN)
    running = mailings.list_part(work, some, {"state": MailingState.RUNNING})
    scheduled = mailings.list_part(work, some, {"state": MailingState.SCHEDULED})
    paused = mailings.list_part(work, some, {"state": MailingState.PAUSED})
    return {
        "overview": overview.of_all(work),
        "running": running,
        "scheduled": scheduled,
        "paused": paused,
        "halted": mailings.list_part(work, some, {"paused_because": PausedBecause.HALTED}, newest_first=True),
    }
