"""/console/mailings/text/: how a text travels, while it is written: which characters make it cost more, and what to
write instead."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from flask import Response

from api_service.console import rendering
from api_service.console.compose_form import Fields
from api_service.console.language import ENGLISH, chosen
from api_service.console.pages import page
from api_service.mailings.facts import Wording
from api_service.mailings.preflight_store import wording
from api_service.web.key import Scope
from api_service.web.parts import asked
from shared.domain.text.shown import MOST_CHARACTERS
from shared.domain.text.spelling import Culprit, is_avoidable, pieces
from shared.domain.text.template import is_template


class Mark(NamedTuple):
    """seen: what stands there, or its name where nobody would see it. write: in its place; empty: nothing."""

    seen: str
    write: str
    name: str


class Look(NamedTuple):
    """pieces: the text, cut where a character is to be marked; none where there is nothing to be won. marks: each of
    these once. is_personal: how many SMS it takes depends on whom it is for."""

    wording: Wording
    is_personal: bool
    pieces: Sequence[tuple[str, Mark | None]] = ()
    marks: Sequence[Mark] = ()


def look(text: str) -> Look:
    """A text that is simply written in another alphabet has no character too many."""
    takes, is_personal = wording(text), is_template(text)
    found = takes.culprits
    if not found or not is_avoidable(found):
        return Look(takes, is_personal)
    marks = {one.character: _mark(one) for one in found}
    cut = [(piece, None if culprit is None else marks[culprit.character]) for piece, culprit in pieces(text, found)]
    return Look(takes, is_personal, cut, list(marks.values()))


def _mark(one: Culprit) -> Mark:
    is_seen = unicodedata.category(one.character[0])[0] not in "ZCM"
    # Unicode has names in English alone.
    name = one.name if chosen().code == ENGLISH else " ".join(f"U+{ord(each):04X}" for each in one.character)
    write = "\N{OPEN BOX}" if one.write == " " else one.write or ""
    return Mark(one.character if is_seen else name, write, name)


@page("/mailings/text/", scope=Scope.TEST, methods=["POST"])
def text_look() -> Response:
    text = Fields.sent(asked().form).text
    return rendering.part("text_look.html", is_over=False, look=look(text[:MOST_CHARACTERS]))
