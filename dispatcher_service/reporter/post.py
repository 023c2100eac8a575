"""Posting: the report of one day, sent once."""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from dispatcher_service.reporter import letter, register
from dispatcher_service.reporter.letter import Envelope
from dispatcher_service.reporter.mail import MailServer
from shared import clock, logs, metrics
from shared.ledger import report

log = logs.logger()


class Posting(StrEnum):
    SENT = "sent"  # now
    REGISTERED = "registered"  # it had been sent before
    BUSY = "busy"  # another reporter is sending at this moment


class Post:
    """Sends a day under the reporters' lock: look it up in the register, hand the mail in, write it down.

    Whoever dies between the last two sends the mail again, under the same Message-ID. Where only the writing down
    fails, this object knows that the mail is out.
    """

    def __init__(
        self,
        engine: Engine,
        server: MailServer,
        envelope: Envelope,
        zone: ZoneInfo,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._engine = engine
        self._server = server
        self._envelope = envelope
        self._zone = zone
        self._now = now
        self._out: date | None = None  # handed in, and perhaps not yet in the register

    def send(self, day: date, *, again: bool = False, patience: float = 0.0) -> Posting:
        """Sends the report of that day if it is not in the register; with `again` even if it is.

        patience: seconds to wait for another reporter. Raises MailError and SQLAlchemyError: worth another try.
        """
        with register.turn(self._engine, patience) as connection:
            if connection is None:
                return Posting.BUSY
            if register.has(connection, day) and not again:
                return Posting.REGISTERED
            if day != self._out:
                self._hand_in(connection, day, again)
                self._out = day
            register.add(connection, day)
            return Posting.SENT

    def _hand_in(self, connection: Connection, day: date, again: bool) -> None:
        figures = report.read(connection, day, self._zone)
        now = self._now()
        # A mail that is asked for once more must not pass for the one that is already there.
        name = register.deployment(connection) + (f".{int(now.timestamp())}" if again else "")
        refused = self._server.send(letter.compose(figures, self._envelope, name, now))
        if refused:
            log.warning("recipients_refused", day=str(day), refused=refused)
        metrics.REPORTS.labels("sent").inc()
