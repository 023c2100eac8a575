"""Counters and rows of every mailing that has begun are held against each other, again and again until it is finished.

Whatever loses, doubles or changes messages behind the service's back shows as a difference: in a metric, in the log and
in the daily report.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from shared import metrics
from shared.clock import ticks
from shared.database.engine import first_line
from shared.ledger.check import Account, read_accounts, snapshot
from shared.ledger.findings import Difference, drop_finding, keep_finding, read_findings
from shared.logs import logger

ROUND = 45.0
"""Seconds from the begin of one round over all mailings to that of the next, unless it takes longer."""

ROWS_PER_SECOND = 200_000
MAILINGS_PER_SECOND = 100
"""What a round costs is bounded: where there is more than this, it takes longer."""

BATCH_ROWS, BATCH_MAILINGS = 50_000, 100
"""What is looked at together: one snapshot, unless a single mailing is larger."""

FIRST_REMINDER, LAST_REMINDER = 60.0, 3600.0
"""Seconds until a difference that stays as it is is logged again; doubled every time."""


@dataclass(slots=True)
class _Reminder:
    difference: Difference
    due_at: float
    pause: float


class CheckLedger:
    """Belongs to one thread. Times are those of `shared.clock.ticks`."""

    def __init__(self, round_pause: float = ROUND) -> None:
        """round_pause: seconds from the begin of a round to that of the next."""
        self._round_pause = round_pause
        self._cursor = 0  # mailings up to this id have been looked at in this round
        self._next_at = 0.0
        self._next_round_at = 0.0
        self._found: dict[int, Difference] = {}
        self._unread: set[int] = set()
        self._reminders: dict[int, _Reminder] = {}

    def begin(self, connection: Connection) -> None:
        """The lead was taken, or the connection made anew: what was found is still so, until a check says otherwise."""
        self._recall(connection)

    @property
    def in_trouble(self) -> Set[int]:
        """The mailings that differ, as of their last check, and those that could not be checked."""
        return self._found.keys() | self._unread

    def take_turn(self, connection: Connection) -> list[Account]:
        """Checks the next mailings of the round, if it is time; what was seen."""
        if ticks() < self._next_at:
            return []
        if not self._cursor:
            self._next_round_at = ticks() + self._round_pause
            self._recall(connection)
        batch = self._next_batch(connection)
        if not batch:
            self._cursor, self._next_at = 0, self._next_round_at
            metrics.CHORE_LAST_RUN.labels("check_ledger").set_to_current_time()
            return []
        self._cursor = batch[-1][0]  # also if the connection is lost now: the next ones have their turn
        begun = ticks()
        accounts = self.check(connection, [mailing_id for mailing_id, _ in batch])
        rows = sum(sum(account.rows.values()) for account in accounts)
        self._next_at = begun + rows / ROWS_PER_SECOND + len(batch) / MAILINGS_PER_SECOND
        return accounts

    def check(self, connection: Connection, mailing_ids: Sequence[int]) -> list[Account]:
        """Holds counters and rows of these mailings against each other, and tells what it finds.

        One that cannot be read is left out, and told as well.
        """
        accounts = self._read(connection, mailing_ids)
        for account in accounts:
            if account.difference or account.mailing_id in self._found:
                self._tell(connection, account)
        self._show()
        return accounts

    def _read(self, connection: Connection, mailing_ids: Sequence[int]) -> list[Account]:
        if not mailing_ids:
            return []
        try:
            with snapshot(connection):
                accounts = read_accounts(connection, mailing_ids)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            if len(mailing_ids) > 1:  # one of them spoils it for the others
                return [account for mailing_id in mailing_ids for account in self._read(connection, [mailing_id])]
            self._unread.update(mailing_ids)
            logger().error("ledger_not_read", mailing_id=mailing_ids[0], error=first_line(error))
            return []
        self._unread.difference_update(mailing_ids)
        return accounts

    def _next_batch(self, connection: Connection) -> list[tuple[int, int]]:
        """Ids and audiences."""
        with connection.begin():
            rows = connection.execute(_NEXT, {"after": self._cursor, "most": BATCH_MAILINGS}).all()
        batch: list[tuple[int, int]] = []
        room = BATCH_ROWS
        for row in rows:
            if batch and row.audience > room:
                break
            batch.append((row.id, row.audience))
            room -= row.audience
        return batch

    def _tell(self, connection: Connection, account: Account) -> None:
        mailing_id, difference = account.mailing_id, account.difference
        if not difference:
            with connection.begin():
                drop_finding(connection, mailing_id)
            del self._found[mailing_id]
            self._reminders.pop(mailing_id, None)
            logger().info("ledger_agrees", mailing_id=mailing_id)
            return
        if self._found.get(mailing_id) != difference:
            with connection.begin():
                keep_finding(connection, mailing_id, difference)
            self._found[mailing_id] = difference
        reminder = self._reminders.get(mailing_id)
        if reminder is None or reminder.difference != difference:
            reminder = _Reminder(difference, 0.0, FIRST_REMINDER / 2)
        if ticks() >= reminder.due_at:
            pause = min(reminder.pause * 2, LAST_REMINDER)
            self._reminders[mailing_id] = _Reminder(difference, ticks() + pause, pause)
            logger().error("ledger_differs", mailing_id=mailing_id, ledger_has_more=difference)

    def _recall(self, connection: Connection) -> None:
        """What is on record: somebody may have mended it."""
        with connection.begin():
            self._found = read_findings(connection)
        self._show()

    def _show(self) -> None:
        metrics.LEDGER_DIFFERENCE.set(
            sum(abs(number) for difference in self._found.values() for number in difference.values())
        )


_NEXT = text("""
    select id, audience from mailings where finished_at is null and audience_limit is not null and id > :after
    order by id limit :most
""")
