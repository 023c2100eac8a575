"""Who is there, asked once more before what cannot be taken back: a screen with a session may have been left unlocked.

A page with such a form shows what `asks` says (`reauthentication.html`), and does nothing while `fault` finds that it
was not given. How somebody proves it depends on how they have signed in, and the pages need not know.
"""

from collections.abc import Mapping
from enum import StrEnum

from flask import g

from api_service.console.language import gettext as _
from api_service.web.key import Person, parsed
from api_service.web.visit import Visit
from shared import clock

FIELD = "key_again"
RECENT = 300.0
"""Seconds since a person has proved at the identity provider who they are: for so long they need not once more."""


class Asks(StrEnum):
    """What is to be given."""

    NOTHING = "nothing"  # nobody signs in here, or they have just done so
    KEY = "key"  # the one that they have signed in with
    SIGN_IN = "sign_in"  # they are to sign in once more at the identity provider


def asks() -> Asks:
    """Of the present reader."""
    visit = _visit()
    if visit is None or _has_just_signed_in(visit):
        return Asks.NOTHING
    return Asks.SIGN_IN if isinstance(visit.key, Person) else Asks.KEY


def fault(form: Mapping[str, str]) -> str | None:
    """Why this is not whoever has signed in; None: it is."""
    visit = _visit()
    if visit is None or _has_just_signed_in(visit):
        return None
    if isinstance(visit.key, Person):
        return _("It is too long ago that you have signed in.")
    given = parsed(form.get(FIELD, "").strip())
    if given is None or given.id != visit.key.id or visit.key.refusal(given, clock.now()):
        return _("This is not the key that you have signed in with.")
    return None


def _has_just_signed_in(visit: Visit) -> bool:
    """Whoever has a key gives it once more at any time: it is at hand."""
    return isinstance(visit.key, Person) and visit.signed_in_since(clock.now()) <= RECENT


def _visit() -> Visit | None:
    found: Visit | None = g.get("visit")
    return found
