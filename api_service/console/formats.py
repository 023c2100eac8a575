"""Numbers, moments and days as the reader of a page writes them."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup

from api_service.console.language import chosen, language
from api_service.web.parts import asked
from shared.domain import timezones

ZONE_COOKIE = "zone"
"""Where the browser says which time zone its reader lives in."""

_REMEMBERED = 10_000  # numbers, and moments, as they are shown


def zone() -> ZoneInfo:
    """In which moments are shown: that of the browser, UTC where it has not said so yet."""
    try:
        return timezones.zone(asked().cookies.get(ZONE_COOKIE, ""))
    except ValueError:
        return timezones.zone("UTC")


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


def day(value: date) -> str:
    """Of the calendar, with its day of the week."""
    return format_date(value, "EEE, d MMM y", locale=chosen().locale)


def span(value: timedelta) -> str:
    """In whole ones of the largest unit that it has."""
    return format_timedelta(value, threshold=1, locale=chosen().locale)


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
