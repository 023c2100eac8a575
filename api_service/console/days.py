"""/console/days/: the daily report, one day after another."""

from datetime import UTC, date, timedelta

from flask import Response

from api_service.console import plot, rendering
from api_service.console.pages import page
from api_service.tracking import days as actions
from api_service.web.parts import asked, parts, working
from api_service.web.problems import NotFound
from shared.domain.message import FINAL_STATES, MessageState

_SIZE = 7
_HOUR = timedelta(hours=1)
_YEARS = range(2000, 2101)


@page("/days/")
def days() -> Response:
    given = asked().args.get("before")
    zone = parts().report_timezone
    seen = actions.list_part(working(), zone, _day(given) if given else None, _SIZE)
    bars = [(one.accepted, one.others) for one in reversed(seen.days)]
    return rendering.page("days.html", seen=seen, plot=plot.of(bars), day_zone=zone.key)


@page("/days/<day>/")
def day(day: str) -> Response:
    zone = parts().report_timezone
    report = actions.find(working(), zone, _day(day))
    hours = [(report.start.astimezone(UTC) + number * _HOUR, *bar) for number, bar in enumerate(report.hours)]
    return rendering.page(
        "day.html",
        report=report,
        states=[state for state in MessageState if state in FINAL_STATES],
        hours=[(f"{at.astimezone(zone):%H:%M}", accepted, others) for at, accepted, others in hours],
        plot=plot.of(report.hours),
        day_zone=zone.key,
    )


def _day(given: str) -> date:
    """Raises NotFound."""
    try:
        found = date.fromisoformat(given)
    except ValueError:
        raise NotFound("There is no such page.") from None
    if found.year not in _YEARS or found.isoformat() != given:
        raise NotFound("There is no such page.")
    return found
