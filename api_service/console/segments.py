"""/console/segments/: saved filters, who is in them, and what names them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, g

from api_service.console import filter_words, rendering, segment_form, ticks
from api_service.console.filter_form import EXCLUDED, Lists
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.console.query import after
from api_service.console.segment_form import Fields
from api_service.directory import segment_actions as actions
from api_service.directory.segment_schema import COUNT_SECONDS
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.page import After
from api_service.web.parts import asked, working
from api_service.web.problems import InUse, Invalid
from shared.domain.filter import Filter

_SIZE = 25
_AT_ONCE = 0.02
"""Seconds that a page is held up by counting; what takes longer comes by itself."""
_EMPTY = 3
"""Lines for further conditions on attributes; whoever needs more saves and goes on."""


class _Known(NamedTuple):
    """The segment that is changed. revision: that its writer has seen."""

    id: int
    revision: str


@page("/segments/")
def segments() -> Response:
    listing = actions.list_part(working(), After(after(), _SIZE), {})
    return rendering.page("segments.html", listing=listing)


@page("/segments/<id:segment_id>/")
def segment(segment_id: int) -> Response:
    """With its count: at once where that is quick, or where somebody waits for it."""
    is_waited_for = "count" in asked().args
    seen = _seen(segment_id, COUNT_SECONDS if is_waited_for else _AT_ONCE)
    return rendering.page("segment.html", **seen, is_waited_for=is_waited_for)


@page("/segments/<id:segment_id>/count/")
@shared
def segment_count(segment_id: int) -> Response:
    return rendering.part("segment_count.html", is_over=True, seen=actions.see(working(), segment_id, COUNT_SECONDS))


@page("/segments/new/", scope=Scope.WRITE)
def new_segment() -> Response:
    return _form(Fields())


@page("/segments/new/", scope=Scope.WRITE, methods=["POST"])
def create_segment() -> Response:
    fields = Fields.sent(asked().form)
    try:
        made = actions.create(working(), fields.values(Filter()))
    except Invalid as invalid:
        return _form(fields, invalid.errors["json"])
    return see(f"/segments/{made.id}/")


@page("/segments/<id:segment_id>/edit/", scope=Scope.WRITE)
def edit_segment(segment_id: int) -> Response:
    present = actions.see(working(), segment_id).segment
    return _form(Fields.of(present), of=_Known(segment_id, etag(present.revision)))


@page("/segments/<id:segment_id>/edit/", scope=Scope.WRITE, methods=["POST"])
def change_segment(segment_id: int) -> Response:
    """Only while it is as whoever sends it has seen it, also where they have to send it once more."""
    form = asked().form
    fields, known = Fields.sent(form), _Known(segment_id, form.get("revision", ""))
    present = actions.see(working(), segment_id).segment
    g.match = Match.parsed(known.revision)
    try:
        actions.change(working(), segment_id, fields.values(present.filter))
    except Invalid as invalid:
        return _form(fields, invalid.errors["json"], of=known)
    return see(f"/segments/{segment_id}/")


@page("/segments/<id:segment_id>/delete/", scope=Scope.WRITE)
def ask_to_delete_segment(segment_id: int) -> Response:
    """What is in the way of it, before anything is done."""
    return rendering.page("segment_delete.html", **_seen(segment_id), is_in_use=False)


@page("/segments/<id:segment_id>/delete/", scope=Scope.WRITE, methods=["POST"])
def delete_segment(segment_id: int) -> Response:
    g.match = Match.parsed(asked().form.get("revision", ""))
    try:
        actions.delete(working(), segment_id)
    except InUse as in_use:
        response = rendering.page("segment_delete.html", **_seen(segment_id), is_in_use=True)
        response.status_code = in_use.status
        return response
    return see("/segments/")


def _seen(segment_id: int, seconds: float | None = None) -> dict[str, Any]:
    seen = actions.see(working(), segment_id, seconds)
    return {
        "seen": seen,
        "revision": etag(seen.segment.revision),
        "chosen": filter_words.chosen(seen.segment.filter, seen.names),
        "excluded": filter_words.excluded(seen.segment.filter, seen.names),
    }


def _form(fields: Fields, errors: Mapping[str, Any] | None = None, of: _Known | None = None) -> Response:
    said = segment_form.by_field(errors or {})
    offered = ticks.offered({*fields.chosen.segments, *fields.excluded.segments})
    response = rendering.page(
        "segment_form.html",
        fields=fields,
        errors={name: said.get(name, ()) for name in segment_form.PLACES},
        is_refused=bool(errors),
        of=of,
        segments=[one for one in offered.segments if of is None or one.id != of.id],  # it would be a circle
        are_more=offered.are_more,
        excluded=EXCLUDED,
        has_excluded=fields.excluded != Lists(),
        empty=_EMPTY,
    )
    response.status_code = 422 if errors else 200
    return response
