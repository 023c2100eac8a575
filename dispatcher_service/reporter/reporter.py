"""Sees to it that the report of every day is sent, in order, come what may.

The `schedule` library wakes the reporter every few seconds; which days are due follows from REPORT_AT, REPORT_TIMEZONE
and the register. So a missed day is caught up, a change of the clock neither skips nor repeats one, and the machine's
own time zone does not matter. (The library's `at(…, tz)` knows no missed days, and wants pytz.)
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schedule import Scheduler
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.reporter import days, register
from dispatcher_service.reporter.mail import MailError
from dispatcher_service.reporter.post import Post, Posting
from shared import clock, logs, metrics
from shared.domain.day_bounds import bounds

log = logs.logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """`poll`: seconds between two looks at the clock. After a failure `pause` seconds, doubling up to `longest`."""

    poll: int = 10
    pause: float = 60.0
    longest: float = 900.0


class Reporter:
    """Any number of them may run side by side: a day is sent by one."""

    def __init__(
        self,
        engine: Engine,
        post: Post,
        at: time,
        zone: ZoneInfo,
        *,
        now: Callable[[], datetime] = clock.now,
        pace: Pace | None = None,
    ) -> None:
        self._engine = engine
        self._post = post
        self._at = at
        self._zone = zone
        self._now = now
        self._pace = pace or Pace()
        self._seen: date | None = None  # days up to this one are sent, or owed
        self._owed: deque[date] = deque()
        self._pause = 0.0
        self._resume_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. A mail that is being handed in is not broken off."""
        scheduler = Scheduler()
        scheduler.every(self._pace.poll).seconds.do(self.tick, stop)
        self.tick(stop)
        while not stop.wait(min(max(scheduler.idle_seconds or 0.0, 0.0), self._pace.poll)):
            if (scheduler.idle_seconds or 0.0) > self._pace.poll:
                scheduler.run_all()  # it reckons in wall-clock time, which was set back
            else:
                scheduler.run_pending()

    def tick(self, stop: threading.Event) -> None:
        """Sends what is due. What fails is tried again by a later tick."""
        if clock.ticks() < self._resume_at:
            return
        try:
            self._look()
            while self._owed and not stop.is_set():
                posting = self._post.send(self._owed[0])
                if posting is Posting.BUSY:
                    return
                if posting is Posting.SENT:
                    log.info("report_sent", day=str(self._owed[0]))
                    metrics.REPORT_LAST_SENT.set(clock.now().timestamp())
                self._owed.popleft()
                self._pause = 0.0
        except (MailError, SQLAlchemyError) as error:
            self._failed(error)
        finally:
            metrics.REPORTS_OWED.set(len(self._owed))

    def _look(self) -> None:
        """Adds the days that have become due to those that are owed."""
        latest = days.latest_due(self._now(), self._at, self._zone)
        if self._seen and latest <= self._seen:
            return
        with self._engine.connect() as connection:
            # Where nothing was ever sent, reports begin with the latest day.
            first, last = register.span(connection) or (latest - timedelta(days=1),) * 2
            begun = register.first_mailing_at(connection)
            sent_at = register.last_sent_at(connection)
        if sent_at:  # by whichever reporter it was
            metrics.REPORT_LAST_SENT.set(sent_at.timestamp())
        owed = days.owed(self._seen or first, latest, self._zone)
        self._owed.extend(day for day in owed if begun and begun < bounds(day, self._zone)[1])
        if lost := days.skipped(self._seen or last, latest):
            log.warning("reports_skipped", first=str(lost[0]), last=str(lost[1]))
        self._seen = latest

    def _failed(self, error: Exception) -> None:
        self._pause = min(self._pause * 2 or self._pace.pause, self._pace.longest)
        self._resume_at = clock.ticks() + self._pause
        metrics.REPORTS.labels("failed").inc()
        cause = getattr(error, "orig", None) or error  # SQLAlchemy's own words are of several lines
        day = str(self._owed[0]) if self._owed else None
        log.warning("report_failed", day=day, error=" ".join(str(cause).split()), retry_in=self._pause)
