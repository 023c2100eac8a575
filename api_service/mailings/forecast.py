"""When a mailing would be done, at the pace of the provider and by the hours in which its clients may be reached. Pure.

Messages are thought of as a stream: what is open is served at the rate, and evenly; what is closed waits. So it is told
beforehand as well as it can be without knowing what the provider will do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import timezones
from shared.domain.hours import hours_of
from shared.domain.window import Window

LEFT = 0.1
"""The part of the rate that a mailing gets while others go before it: `dispatcher_service.leading.fair_share`."""

_FOLLOWED = timedelta(days=3)
"""For so long every opening and closing is followed; from then on each day is like the last one."""

_DAY = timedelta(days=1)
_FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Opening:
    """When the people of a time zone may be reached first. at: None: not before the end."""

    zone: str
    people: int
    at: datetime | None


def openings(people: Mapping[str, int], window: Window | None, starts_at: datetime, ends_at: datetime) -> list[Opening]:
    """Of each time zone, most people first. starts_at: or now, if that is later."""
    found = []
    for zone, number in sorted(people.items(), key=lambda pair: (-pair[1], pair[0])):
        is_open, change = (True, starts_at) if window is None else hours_of(window, zone).at(starts_at)
        at = starts_at if is_open else change
        found.append(Opening(zone, number, at if at < ends_at else None))
    return found


def by_hour(found: list[Opening]) -> dict[int, int]:
    """How many people may be reached first in which hour of their own day."""
    hours: dict[int, int] = {}
    for one in found:
        if one.at is not None:
            hour = one.at.astimezone(timezones.stored(one.zone)).hour
            hours[hour] = hours.get(hour, 0) + one.people
    return dict(sorted(hours.items()))


def done_at(
    people: Mapping[str, int], window: Window | None, starts_at: datetime, rate: float, ahead: int = 0
) -> datetime | None:
    """When the last of these would be sent, if there were no end; None: not within ten years.

    Args:
        people: by time zone; those whose window never opens before the end are best left out.
        rate: messages a second.
        ahead: messages of other mailings that go before these, as long as there are some.
    """
    waiting = _alike(people, starts_at)
    now, before = starts_at, min(ahead / (1 - LEFT) / rate, _FAR.total_seconds())
    served_today, day = 0.0, starts_at + _DAY
    while waiting:
        if now >= day:
            if now >= starts_at + _FOLLOWED:
                return _extrapolated(now, sum(waiting.values()), served_today, timedelta(seconds=before))
            served_today, day = 0.0, day + _DAY
        hours = {zone: (True, day) if window is None else hours_of(window, zone).at(now) for zone in waiting}
        is_open = {zone: waiting[zone] for zone, (is_open_now, _) in hours.items() if is_open_now}
        until = min(day, *(change for _, change in hours.values()))
        if before > 0:
            until = min(until, now + timedelta(seconds=before))
        seconds = (until - now).total_seconds()
        speed = rate * (LEFT if before > 0 else 1)
        number = sum(is_open.values())
        if 0 < number <= speed * seconds:
            seconds = number / speed
            until = now + timedelta(seconds=seconds)
        part = min(1.0, speed * seconds / number) if number else 0.0
        for zone, some in is_open.items():
            waiting[zone] = some * (1 - part)
        served_today += number * part
        waiting = {zone: some for zone, some in waiting.items() if some > _NONE}
        before = before - seconds if before - seconds > _MOMENT else 0.0
        now = until
    return now


def least_limit(dispatch_rate: float, providers: Sequence[float]) -> float:
    """Messages a second that may go out through these providers, by the rate of each and over all; 0: no limit."""
    together = sum(providers) if providers and all(providers) else 0.0
    return min((rate for rate in (dispatch_rate, together) if rate), default=0.0)


_NONE = 1e-6
"""People who are none but for rounding."""

_MOMENT = 1e-3
"""Seconds that are none: moments have microseconds, and what is left of one would never pass."""


def _alike(people: Mapping[str, int], starts_at: datetime) -> dict[str, float]:
    """Zones whose clocks show the same are one: there are hundreds of names, and some dozens of clocks."""
    clocks: dict[object, str] = {}
    waiting: dict[str, float] = {}
    for zone, number in people.items():
        local = timezones.stored(zone)
        clock = starts_at.astimezone(local).utcoffset(), (starts_at + _FOLLOWED).astimezone(local).utcoffset()
        one = clocks.setdefault(clock, zone)
        if number:
            waiting[one] = waiting.get(one, 0.0) + number
    return waiting


def _extrapolated(now: datetime, left: float, a_day: float, before: timedelta) -> datetime | None:
    """a_day: how many were served on the last day. before: for so long others still go before these."""
    if not a_day:
        return None
    days, behind = left / a_day, before / _DAY
    if behind and days > behind:
        days = behind + (left - behind * a_day) / (a_day / LEFT)
    return now + timedelta(days=days) if days < _FAR.days else None
