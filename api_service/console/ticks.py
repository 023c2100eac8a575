"""Segments that a form offers to be ticked."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from api_service.directory import segment_actions
from api_service.web.page import After
from api_service.web.parts import working
from shared.database.models import Segment

_FIRST = 50


class Offered(NamedTuple):
    """are_more: whether there are others, whose numbers are typed."""

    segments: Sequence[Segment]
    are_more: bool


def offered(ticked: Collection[int | str]) -> Offered:
    """The first that there are, and those that are ticked already."""
    listing = segment_actions.list_part(working(), After(0, _FIRST), {})
    others = sorted({one for one in ticked if isinstance(one, int)} - {one.id for one in listing.rows})
    found = segment_actions.find_some(working(), others) if others else ()
    return Offered([*listing.rows, *found], listing.next_id is not None)
