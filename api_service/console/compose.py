"""Writing a mailing on the console: a draft, a look at what would become of it, and its start."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, g

from api_service.console import compose_form, rendering
from api_service.console.compose_form import Fields, Refused
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.directory import segment_actions
from api_service.mailings import actions, preflight_actions, previewing
from api_service.mailings.rules import Action
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.page import After
from api_service.web.parts import asked, parts, working
from api_service.web.problems import Blocked, Invalid, TooLate
from shared.domain.mailing import MailingState
from shared.domain.priority import Priority

_SEGMENTS = 100
_LOOKED_AT, _PREVIEWS = 20, 3
"""Clients, of whom the first few that it is for are shown what they would get."""


@page("/mailings/new/", scope=Scope.TEST)
def compose() -> Response:
    return _form(Fields())


@page("/mailings/new/", scope=Scope.TEST, methods=["POST"])
def create_draft() -> Response:
    fields = Fields.sent(asked().form)
    try:
        made = actions.create(working(), parts().announcer, compose_form.created(fields, rendering.zone()))
    except Refused as refused:
        return _form(fields, refused.errors)
    except Invalid as invalid:
        return _form(fields, compose_form.by_field(invalid.errors["json"]))
    return see(f"/mailings/{made['id']}/review/")


@page("/mailings/<id:mailing_id>/edit/", scope=Scope.TEST)
def edit(mailing_id: int) -> Response:
    view = _draft(mailing_id)
    return _form(Fields.of(view, rendering.zone()), mailing=view)


@page("/mailings/<id:mailing_id>/edit/", scope=Scope.TEST, methods=["POST"])
def change_draft(mailing_id: int) -> Response:
    """Only while it is as whoever sends it has seen it."""
    form = asked().form
    fields, view = Fields.sent(form), _draft(mailing_id)
    g.match = Match.parsed(form.get("revision", ""))
    try:
        values = compose_form.changed(fields, rendering.zone())
        actions.change(working(), parts().announcer, mailing_id, values)
    except Refused as refused:
        return _form(fields, refused.errors, mailing=view)
    except Invalid as invalid:
        return _form(fields, compose_form.by_field(invalid.errors["json"]), mailing=view)
    return see(f"/mailings/{mailing_id}/review/")


@page("/mailings/<id:mailing_id>/review/", scope=Scope.TEST)
def review(mailing_id: int) -> Response:
    return _review(mailing_id)


@page("/mailings/<id:mailing_id>/start/", scope=Scope.TEST, methods=["POST"])
def start(mailing_id: int) -> Response:
    """The one that was reviewed: where somebody has changed it meanwhile, they are told so."""
    g.match = Match.parsed(asked().form.get("revision", ""))
    try:
        actions.perform(working(), parts().announcer, Action.START, mailing_id)
    except Blocked:
        return _review(mailing_id)
    return see(f"/mailings/{mailing_id}/")


def _form(
    fields: Fields, errors: Mapping[str, Sequence[str]] | None = None, mailing: Mapping[str, Any] | None = None
) -> Response:
    segments = segment_actions.list_part(working(), After(0, _SEGMENTS), {}).rows
    response = rendering.page(
        "compose.html",
        fields=fields,
        errors={name: (errors or {}).get(name, ()) for name in Fields.__slots__},
        is_refused=bool(errors),
        segments=segments,
        priorities=[str(one) for one in Priority],
        mailing=mailing,
        revision=etag(mailing["revision"]) if mailing else "",
    )
    response.status_code = 422 if errors else 200
    return response


def _review(mailing_id: int) -> Response:
    view = _draft(mailing_id)
    try:
        seen = preflight_actions.check_stored(working(), parts(), mailing_id)
        missing: Mapping[str, Any] = {}
    except Blocked as blocked:  # there is nothing to look at as long as it has no times
        seen, missing = None, blocked.errors
    previews = previewing.preview_some(working(), mailing_id, _PREVIEWS, _LOOKED_AT)
    return rendering.page(
        "review.html", mailing=view, seen=seen, missing=missing, previews=previews, revision=etag(view["revision"])
    )


def _draft(mailing_id: int) -> dict[str, Any]:
    """Raises NotFound; TooLate where it is none any more."""
    view = actions.find(working(), mailing_id)
    if view["state"] is not MailingState.DRAFT:
        raise TooLate(_("It is no draft any more: what is sent does not change."))
    return view
