"""Writing a mailing on the console: a draft, a look at what would become of it, and its start."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response, g

from api_service.console import compose_form, formats, rendering, ticks
from api_service.console.compose_form import Fields, Refused
from api_service.console.filter_form import EXCLUDED, Lists
from api_service.console.language import marked as _
from api_service.console.pages import page, see
from api_service.console.wording import look
from api_service.mailings import actions, counting, preflight_actions, previewing
from api_service.mailings.counting import People
from api_service.mailings.rules import Action
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.parts import asked, parts, working
from api_service.web.problems import Blocked, Invalid, TooLate
from shared.domain.filter import Filter
from shared.domain.mailing import MailingState
from shared.domain.priority import Priority

_EMPTY = 3
"""Lines for further conditions on attributes; whoever needs more saves and goes on."""
_COUNT = "count"
"""The button that asks for how many it is."""
_LOOKED_AT, _PREVIEWS = 20, 3
"""Clients, of whom the first few that it is for are shown what they would get."""


class _Known(NamedTuple):
    """The draft that is written on. revision: that its writer has seen."""

    id: int
    revision: str


@page("/mailings/new/", scope=Scope.TEST)
def compose() -> Response:
    return _form(Fields())


@page("/mailings/new/", scope=Scope.TEST, methods=["POST"])
def create_draft() -> Response:
    form = asked().form
    fields = Fields.sent(form)
    try:
        if _COUNT in form:
            return _form(fields, people=counting.count(working(), compose_form.chosen(fields, Filter())))
        made = actions.create(working(), parts().announcer, compose_form.created(fields, formats.zone()))
    except Refused as refused:
        return _form(fields, refused.errors)
    except Invalid as invalid:
        return _form(fields, compose_form.by_field(invalid.errors["json"]))
    return see(f"/mailings/{made['id']}/review/")


@page("/mailings/new/people/", scope=Scope.TEST, methods=["POST"])
def people_of_new() -> Response:
    """While it is written whom it is for."""
    return _counted(Filter())


@page("/mailings/<id:mailing_id>/edit/people/", scope=Scope.TEST, methods=["POST"])
def people_of_draft(mailing_id: int) -> Response:
    return _counted(_draft(mailing_id)["filter"])


@page("/mailings/<id:mailing_id>/edit/", scope=Scope.TEST)
def edit(mailing_id: int) -> Response:
    view = _draft(mailing_id)
    return _form(Fields.of(view, formats.zone()), of=_Known(mailing_id, etag(view["revision"])))


@page("/mailings/<id:mailing_id>/edit/", scope=Scope.TEST, methods=["POST"])
def change_draft(mailing_id: int) -> Response:
    """Only while it is as whoever sends it has seen it, also where they have to send it once more."""
    form = asked().form
    fields, view, known = Fields.sent(form), _draft(mailing_id), _Known(mailing_id, form.get("revision", ""))
    g.match = Match.parsed(known.revision)
    try:
        if _COUNT in form:
            return _form(
                fields, people=counting.count(working(), compose_form.chosen(fields, view["filter"])), of=known
            )
        values = compose_form.changed(fields, formats.zone(), view)
        actions.change(working(), parts().announcer, mailing_id, values)
    except Refused as refused:
        return _form(fields, refused.errors, of=known)
    except Invalid as invalid:
        return _form(fields, compose_form.by_field(invalid.errors["json"]), of=known)
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
    fields: Fields,
    errors: Mapping[str, Sequence[str]] | None = None,
    of: _Known | None = None,
    people: People | None = None,
) -> Response:
    """of: the draft that is written on. people: how many it is for, where that was asked."""
    segments = ticks.offered({*fields.chosen.segments, *fields.excluded.segments})
    response = rendering.page(
        "compose.html",
        fields=fields,
        look=look(fields.text),
        errors={name: (errors or {}).get(name, ()) for name in compose_form.PLACES},
        is_refused=bool(errors),
        segments=segments.segments,
        are_more=segments.are_more,
        priorities=[str(one) for one in Priority],
        of=of,
        people=people,
        excluded=EXCLUDED,
        has_excluded=fields.excluded != Lists(),
        empty=_EMPTY,
    )
    response.status_code = 422 if errors else 200
    return response


def _counted(known: Filter) -> Response:
    """What is half written may match nothing that there is: that is said when it is sent."""
    try:
        wanted = compose_form.chosen(Fields.sent(asked().form), known)
        people = counting.count_meanwhile(working(), wanted)
    except (Refused, Invalid):
        people = None
    return rendering.part("people_count.html", is_over=False, people=people)


def _review(mailing_id: int) -> Response:
    view = _draft(mailing_id)
    try:
        seen = preflight_actions.check_stored(working(), parts(), mailing_id)
        missing: Mapping[str, Any] = {}
    except Blocked as blocked:  # there is nothing to look at as long as it has no times
        seen, missing = None, blocked.errors
    previews = previewing.preview_some(working(), mailing_id, _PREVIEWS, _LOOKED_AT)
    return rendering.page(
        "review.html",
        mailing=view,
        look=look(view["text"]),
        seen=seen,
        missing=missing,
        previews=previews,
        revision=etag(view["revision"]),
    )


def _draft(mailing_id: int) -> dict[str, Any]:
    """Raises NotFound; TooLate where it is none any more."""
    view = actions.find(working(), mailing_id)
    if view["state"] is not MailingState.DRAFT:
        raise TooLate(_("It is no draft any more: what is sent does not change."))
    return view
