"""The send window: a message waits until it opens where its client lives. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from shared.domain.gates.gate import Case, Gate, Stop, Wait
from shared.domain.hours import hours_of
from shared.domain.window import Window


def window_of(mailing: Any) -> Window | None:
    """Of its row."""
    return None if mailing.window_from is None else Window(mailing.window_from, mailing.window_until)


def openings_of(mailing: Any, zones: Collection[str]) -> dict[str, datetime]:
    """Those of the time zones in which the mailing's window is closed now, and when it opens."""
    window = window_of(mailing)
    if window is None:
        return {}
    hours = {zone: hours_of(window, zone).at(mailing.now) for zone in zones}
    return {zone: change for zone, (is_open, change) in hours.items() if not is_open}


def _stop(case: Case) -> Stop | None:
    opening = openings_of(case.mailing, {case.message.timezone}).get(case.message.timezone)
    return None if opening is None else Wait(opening)


# The zones in which the window is open, as far as the messages of a claim go; none: there is no window.
WINDOW = Gate(
    stop=_stop,
    reads={"timezone": "c.timezone"},
    passes="(cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[])))",
)
