"""Forms: that one which is sent was ours, what is typed into it, and where its sender may be led afterwards."""

import hmac

from flask import Request, g

from api_service.web.visit import Visit

FIELD = "form_token"
_DIGITS = 18


class StaleForm(Exception):
    """Another site has sent it, or a page of a session that is over."""


def token() -> str:
    """That the forms of this session carry; empty where nobody signs in."""
    visit: Visit | None = g.get("visit")
    return "" if visit is None else visit.form_token


def check_site(request: Request) -> None:
    """As the browser tells it. Raises StaleForm."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise StaleForm


def check_token(given: str) -> None:
    """Raises StaleForm. Where nobody signs in there is none, and the door has asked for the site already."""
    if not hmac.compare_digest(token().encode(), given.encode("utf-8", "replace")):
        raise StaleForm


def here(request: Request) -> str:
    """The path of the page that is asked for, as `own_path` takes it back."""
    return request.script_root + request.full_path.rstrip("?")


def own_path(given: str, root: str) -> str | None:
    """A path of the console; None for whatever may lead elsewhere. root: what stands before /console."""
    is_plain = given.isascii() and given.isprintable() and not any(part in given for part in ("\\", "//", ".."))
    return given if is_plain and given.startswith(f"{root}/console/") else None


def whole(given: str) -> int | str:
    """A number that somebody has typed. What is none is left as it is, for the schema to refuse."""
    return int(given) if given.isascii() and given.isdigit() and len(given) <= _DIGITS else given
