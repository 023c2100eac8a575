"""/console/mailings/: the list, a mailing, and what can be done with it."""

from collections.abc import Sequence
from typing import Any

from flask import Response

from api_service.console import names, plot, rendering
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.console.query import after, among, one_of
from api_service.mailings import actions
from api_service.mailings.rules import Action
from api_service.operations import actions as operations
from api_service.tracking import actions as tracking
from api_service.tracking import export as messages_as_lines
from api_service.tracking import overview
from api_service.tracking.export import Wanted
from api_service.tracking.in_common import Common
from api_service.web import export
from api_service.web.export import Format
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import parts, working
from shared.database.models import Audit
from shared.domain.mailing import MailingState
from shared.domain.message import MessageState
from shared.domain.receipt import RECEIPTS

_SIZE = 25
_OFFERED = {
    MailingState.DRAFT: (Action.CANCEL,),
    MailingState.SCHEDULED: (Action.PAUSE, Action.CANCEL),
    MailingState.RUNNING: (Action.PAUSE, Action.CANCEL),
    MailingState.PAUSED: (Action.RESUME, Action.CANCEL),
}
"""What there is something to do for; where nothing stands, nothing can be done any more."""
_CHANGES = 20


@page("/mailings/")
def mailings() -> Response:
    state = one_of(MailingState, "state")
    filters = {} if state is None else {"state": state}
    listing = actions.list_part(working(), After(after(), _SIZE), filters, newest_first=True)
    return rendering.page("mailings.html", listing=listing, state=state, states=list(MailingState))


@page("/mailings/<id:mailing_id>/")
def mailing(mailing_id: int) -> Response:
    status, common = _chosen()
    part = After(after(), _SIZE)
    if any(common):
        messages = tracking.list_of_common(working(), mailing_id, common, part)
    else:
        messages = tracking.list_of_mailing(working(), mailing_id, status, part)
    changes = _changes(mailing_id) if rendering.may("admin") else ()
    return rendering.page(
        "mailing.html", messages=messages, status=status, common=common, changes=changes, **_seen(mailing_id)
    )


@page("/mailings/<id:mailing_id>/live/")
@shared
def mailing_live(mailing_id: int) -> Response:
    return rendering.part("mailing_live.html", **_seen(mailing_id))


@page("/mailings/<id:mailing_id>/<any(pause,resume,cancel):action>/", scope=Scope.TEST)
def ask(mailing_id: int, action: str) -> Response:
    """What it would mean, with the number that it concerns, before anything is done."""
    return rendering.page("mailing_ask.html", asked_for=action, **_seen(mailing_id))


@page("/mailings/<id:mailing_id>/<any(pause,resume,cancel):action>/", scope=Scope.TEST, methods=["POST"])
def perform(mailing_id: int, action: str) -> Response:
    actions.perform(working(), parts().announcer, Action(action), mailing_id)
    return see(f"/mailings/{mailing_id}/")


@page("/mailings/<id:mailing_id>/file/")
def messages_file(mailing_id: int) -> Response:
    columns, lines = messages_as_lines.of_mailing(working(), mailing_id, _chosen(), export.style(Format.CSV))
    return export.as_file(Format.CSV, f"messages-of-mailing-{mailing_id}", columns, lines)


@page("/messages/<id:message_id>/")
def message(message_id: int) -> Response:
    return rendering.page("message.html", message=tracking.find(working(), message_id))


def _chosen() -> Wanted:
    """Which of its messages."""
    common = Common(among(names.ERRORS, "error"), among(RECEIPTS, "receipt"))
    return Wanted(None if any(common) else one_of(MessageState, "status"), common)


def _changes(mailing_id: int) -> Sequence[Audit]:
    """What people did to it, the newest first."""
    about = {"thing": "mailing", "thing_id": str(mailing_id)}
    return operations.list_changes(working(), After(0, _CHANGES), about, newest_first=True).rows


def _seen(mailing_id: int) -> dict[str, Any]:
    seen, ahead, course = overview.watched(working(), mailing_id)
    return {
        "seen": seen,
        "ahead": ahead,
        "course": course,
        "plot": plot.of([(bar.accepted, bar.failed) for bar in course.bars]) if course else None,
        "possible": [str(action) for action in _OFFERED.get(seen.state, ())],
        # Until every message has its end there is something to see, though the mailing may be over.
        "is_over": seen.mailing.finished_at is not None,
    }
