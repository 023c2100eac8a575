"""How a page is made: its template, and how numbers, moments and names are shown in it."""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from flask import Request, Response, g, make_response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api_service.console import assets, forms, names
from api_service.console.language import NAMES, chosen, gettext, language, ngettext
from api_service.web.key import Caller, Scope
from api_service.web.parts import asked
from shared.domain import timezones

ZONE_COOKIE = "zone"
"""Where the browser says which time zone its reader lives in."""

_FOR_PARTS = "HX-Request"
_REMEMBERED = 10_000  # numbers, and moments, as they are shown


def page(template: str, **values: Any) -> Response:
    """An answer with a page, in the language and the time zone of whoever asks."""
    request = asked()
    whose = {
        "languages": NAMES,
        "here": request.full_path.rstrip("?"),
        "section": (request.endpoint or "").rpartition(".")[2],
        "reader": g.get("key"),
        "form_token": forms.token(),
        "zone": zone().key,
        "is_read": request.method == "GET",  # loaded once more, it does nothing
    }
    return _rendered(template, whose | values)


def part(template: str, *, is_over: bool, **values: Any) -> Response:
    """The part of a page that looks for itself what is new. It may be shown to others (`live.shared`), so nothing of
    whoever asks is in it. is_over: nothing in it can change any more."""
    response = _rendered(template, values)
    response.headers["X-Live"] = "over" if is_over else "on"
    return response


def _rendered(template: str, values: dict[str, Any]) -> Response:
    about = {"language": chosen().code, "root": asked().script_root}
    return make_response(_ENVIRONMENT.get_template(template).render(about | values))


def is_part(request: Request) -> bool:
    return _FOR_PARTS in request.headers


def zone() -> ZoneInfo:
    """In which moments are shown: that of the browser, UTC where it has not said so yet."""
    try:
        return timezones.zone(asked().cookies.get(ZONE_COOKIE, ""))
    except ValueError:
        return timezones.zone("UTC")


def may(scope: str) -> bool:
    """Whether the reader may do what needs this scope: what they may not is not shown."""
    key: Caller | None = g.get("key")
    return key is None or key.scope.allows(Scope(scope))


def number(value: float) -> str:
    return _number(value, chosen().code)


def percent(value: float, whole: float) -> str:
    """Never 100 % before all is done."""
    share = value / whole if whole else 0.0
    share = min(share, 0.999) if value < whole else share
    return _percent(round(share, 4), chosen().code)


def moment(value: datetime | None, missing: str = "\N{EN DASH}") -> Markup | str:
    """As the reader's clock shows it; their browser tells the zone, and without it, it is UTC."""
    return missing if value is None else _moment(value.astimezone(UTC).replace(microsecond=0), zone(), chosen().code)


# Babel takes longer for a page of numbers and moments than the database does for what they say.


@lru_cache(maxsize=_REMEMBERED)
def _number(value: float, code: str) -> str:
    return format_decimal(value, locale=language(code).locale)


@lru_cache(maxsize=_REMEMBERED)
def _percent(share: float, code: str) -> str:
    return format_percent(share, "#,##0.#%" if 0.99 < share < 1 else "#,##0%", locale=language(code).locale)


@lru_cache(maxsize=_REMEMBERED)
def _moment(value: datetime, where: ZoneInfo, code: str) -> Markup:
    local = format_datetime(value.astimezone(where), "d MMM y, HH:mm:ss", locale=language(code).locale)
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), local)


def day(value: date) -> str:
    """Of the calendar, with its day of the week."""
    return format_date(value, "EEE, d MMM y", locale=chosen().locale)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api_service.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "number": number,
        "percent": percent,
        "moment": moment,
        "state": names.state,
        "status": names.status,
        "status_meaning": names.status_meaning,
        "error": names.error,
        "waiting": names.waiting,
        "action": names.action,
        "import_state": names.import_state,
        "column": names.column,
    }
    environment.filters |= {
        "provider_state": names.provider_state,
        "provider_meaning": names.provider_meaning,
        "scope": names.scope,
        "scope_meaning": names.scope_meaning,
        "receipt": names.receipt,
        "day": day,
    }
    environment.globals |= {"may": may, "asset": assets.address}
    return environment


_ENVIRONMENT = _environment()
