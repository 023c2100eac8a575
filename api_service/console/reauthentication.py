"""Who is there, asked once more before what cannot be taken back: a screen with a session may have been left unlocked.

A page with such a form shows what `asks` says (`reauthentication.html`), and does nothing while `fault` finds that it
was not given. How somebody proves it depends on how they have signed in, and the pages need not know.
"""

from collections.abc import Mapping
from enum import StrEnum

from flask import g

from api_service.console.language import gettext as _
from api_service.web.key import parsed
from api_service.web.visit import Visit
from shared import clock

FIELD = "key_again"


class Asks(StrEnum):
    """What is to be given. A sign-in without a key would be asked to sign in anew, unless it did so just now."""

    NOTHING = "nothing"  # nobody signs in here
    KEY = "key"  # the one that they have signed in with


def asks() -> Asks:
    """Of the present reader."""
    return Asks.NOTHING if _visit() is None else Asks.KEY


def fault(form: Mapping[str, str]) -> str | None:
    """Why this is not whoever has signed in; None: it is."""
    visit = _visit()
    if visit is None:
        return None
    given = parsed(form.get(FIELD, "").strip())
    if given is None or given.id != visit.key.id or visit.key.refusal(given, clock.now()):
        return _("This is not the key that you have signed in with.")
    return None


def _visit() -> Visit | None:
    found: Visit | None = g.get("visit")
    return found
