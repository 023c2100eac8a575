"""What goes wrong with one mailing is tried again later, and the others do not notice.

Everything that the leader does is an act: something for one mailing, or a look at all of them, in a short transaction
of its own. One that fails for a reason that lies in its mailing (a row that somebody has locked, a slow statement, bad
data) is set aside with growing pauses. One that fails because the connection or the database is in trouble ends the
connection, as it does everywhere.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from psycopg2 import errorcodes
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from shared import metrics
from shared.clock import ticks
from shared.database.engine import first_line
from shared.ledger.entries import Entries, open_entries
from shared.ledger.slot import Slot
from shared.logs import logger

T = TypeVar("T")
Act = Callable[[Connection, Entries], T]
ActOnSome = Callable[[Sequence[int], Connection, Entries], Sequence[int]]
"""An act for the mailings that it is told; for which of them something was done."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
"""Seconds until what was set aside is tried again: doubling from the one to the other, so that a mailing goes on within
five seconds after what held it up is gone."""

SHARE = 0.1
"""What failing may take of a thread's time: one that failed late waits longer."""

RETRY_LOCK_PATIENCE = 0.01
"""Seconds that a further try waits for a lock. One that was given back is there at once; and many mailings that wait
for locks take little of the time of the others."""

FORGOTTEN_AFTER = 30.0
"""Seconds after which an act that nobody asks for any more is no longer counted as set aside: its mailing was paused,
or has ended, or somebody else has done it."""


class HeldUp(Exception):
    """An act found nothing but rows that somebody else has locked, and did not wait for them."""


@dataclass
class _Trouble:
    """An act that was set aside. until: when it is tried again; in ticks, as since."""

    since: float = field(default_factory=ticks)
    failures: int = 0
    until: float = 0.0
    is_told: bool = False


class Isolation:
    """Runs the acts of one thread on its connection. Belongs to that thread."""

    def __init__(self, connection: Connection, slot: Slot) -> None:
        """slot: where the ledger counts what the acts move."""
        self._connection = connection
        self._slot = slot
        self._aside: dict[tuple[str, int | None], _Trouble] = {}
        self._log = logger()

    def run(self, chore: str, mailing_id: int | None, act: Act[T]) -> T | None:
        """What the act returns; None where it is set aside, or still was.

        Args:
            chore: whose act it is, as the metrics and the log name it.
            mailing_id: whom it is about; None: all of them.
            act: works in a transaction that is committed when it returns, and enters what it moves. It raises HeldUp
                where it does not wait for rows that are locked and finds no others.

        Raises:
            SQLAlchemyError: the connection is lost, or the database in trouble.
        """
        key = (chore, mailing_id)
        trouble = self._aside.get(key)
        since = ticks()
        if trouble and since < trouble.until:
            return None
        try:
            with self._connection.begin(), open_entries(self._connection, self._slot) as entries:
                if trouble:
                    self._connection.execute(_WAIT_BRIEFLY, {"lock": f"{RETRY_LOCK_PATIENCE * 1000:.0f}"})
                result = act(self._connection, entries)
        except HeldUp:
            # Others lock rows for a moment in the usual course of things: that is not worth a line in the log.
            self._set_aside(key, "locked", "there are no rows but those that somebody has locked", since, told_from=2)
        except DBAPIError as error:
            reason = None if error.connection_invalidated else _REASONS.get(_class_of(error))
            if reason is None:
                raise
            self._set_aside(key, reason, _words(error), since)
            if _is_about_counters(error):
                self._slot.leave()
        except SQLAlchemyError:
            raise
        except Exception:  # a defect, or data that nobody has thought of: no reason to let the other mailings down
            if mailing_id is None:
                raise
            self._set_aside(key, "defect", traceback.format_exc(), since)
        else:
            if trouble:
                self._go_on(key, trouble)
            return result
        return None

    def run_together(self, chore: str, act: Act[T]) -> T | None:
        """What an act returns that is about several mailings; None where something went wrong with one of them. Then
        nothing has happened, and each of them is to be tried alone (`run`), which says with which.

        It is to leave out those that `is_in_trouble`, or one would spoil it for the others again and again. Raises
        SQLAlchemyError as `run` does.
        """
        try:
            with self._connection.begin(), open_entries(self._connection, self._slot) as entries:
                return act(self._connection, entries)
        except DBAPIError as error:
            reason, detail = None if error.connection_invalidated else _REASONS.get(_class_of(error)), _words(error)
            if reason is None:
                raise
            if _is_about_counters(error):
                self._slot.leave()
        except SQLAlchemyError:
            raise
        except Exception:
            reason, detail = "defect", traceback.format_exc()
        metrics.ACT_FAILURES.labels(chore, reason).inc()
        self._log.warning("act_failed_together", chore=chore, reason=reason, detail=detail)
        return None

    def run_each(self, chore: str, mailing_ids: Sequence[int], act: ActOnSome) -> list[int]:
        """Does the same for each of several mailings: for all together, and where that goes wrong, for each alone. For
        which it was done, as the act says."""
        together = [each for each in mailing_ids if not self.is_in_trouble(chore, each)]
        found = self.run_together(chore, partial(act, together)) if len(together) > 1 else None
        done = list(found or ())
        for each in mailing_ids if found is None else set(mailing_ids).difference(together):
            done += self.run(chore, each, partial(act, [each])) or ()
        return sorted(done)

    def is_in_trouble(self, chore: str, mailing_id: int) -> bool:
        """Whether this went wrong the last time."""
        return (chore, mailing_id) in self._aside

    def is_set_aside(self, chore: str, mailing_id: int | None) -> bool:
        """Whether `run` would do nothing now."""
        trouble = self._aside.get((chore, mailing_id))
        return trouble is not None and ticks() < trouble.until

    def mailings_set_aside(self, chore: str) -> list[int]:
        """Those for which `run` would do nothing now."""
        return [one for name, one in self._aside if name == chore and one is not None and self.is_set_aside(name, one)]

    def until_next_try(self) -> float | None:
        """Seconds until something that was set aside may be tried again; None where nothing is."""
        now = ticks()
        for key, trouble in list(self._aside.items()):
            if now - trouble.until > FORGOTTEN_AFTER:
                self._forget(key)
        return min((trouble.until - now for trouble in self._aside.values() if trouble.until > now), default=None)

    def close(self) -> None:
        """Nothing is set aside any more, as far as the metrics go."""
        for key in list(self._aside):
            self._forget(key)

    def _set_aside(
        self, key: tuple[str, int | None], reason: str, detail: str, since: float, *, told_from: int = 1
    ) -> None:
        chore, mailing_id = key
        trouble = self._aside.setdefault(key, _Trouble(since))
        pause = min(SHORTEST_PAUSE * 2**trouble.failures, LONGEST_PAUSE)
        spent = ticks() - since
        pause = max(pause, spent * (1 - SHARE) / SHARE)
        trouble.failures += 1
        trouble.until = ticks() + pause
        metrics.ACT_FAILURES.labels(chore, reason).inc()
        self._count(chore)
        # The first, second, fourth, eighth time: a lock that is held overnight must not fill the log.
        if trouble.failures >= told_from and trouble.failures.bit_count() == 1:
            trouble.is_told = True
            self._log.warning(
                "set_aside",
                mailing_id=mailing_id,
                chore=chore,
                reason=reason,
                detail=detail,
                failures=trouble.failures,
                for_seconds=round(ticks() - trouble.since, 1),
                again_in=round(pause, 2),
            )

    def _go_on(self, key: tuple[str, int | None], trouble: _Trouble) -> None:
        self._forget(key)
        if trouble.is_told:
            chore, mailing_id = key
            self._log.info(
                "goes_on", mailing_id=mailing_id, chore=chore, after_seconds=round(ticks() - trouble.since, 1)
            )

    def _forget(self, key: tuple[str, int | None]) -> None:
        del self._aside[key]
        self._count(key[0])

    def _count(self, chore: str) -> None:
        metrics.SET_ASIDE.labels(chore).set(sum(name == chore for name, _ in self._aside))


_WAIT_BRIEFLY = text("select set_config('lock_timeout', :lock, true)")

_REASONS = {
    errorcodes.LOCK_NOT_AVAILABLE: "locked",
    errorcodes.QUERY_CANCELED: "slow",
    errorcodes.DEADLOCK_DETECTED: "deadlock",
    errorcodes.SERIALIZATION_FAILURE: "conflict",
    errorcodes.CLASS_DATA_EXCEPTION: "bad_data",
    errorcodes.CLASS_INTEGRITY_CONSTRAINT_VIOLATION: "bad_data",
}
"""By the code of the error, or by its class: what lies in the mailing."""


def _class_of(error: DBAPIError) -> str:
    code = getattr(error.orig, "pgcode", None) or ""
    return code if code in _REASONS else code[:2]


def _words(error: DBAPIError) -> str:
    """What PostgreSQL says, and where: `while locking tuple (0,1) in relation "mailings"`."""
    context = (_context(error).splitlines() or [""])[0]
    return f"{first_line(error)} {context}".strip()


def _context(error: DBAPIError) -> str:
    return getattr(getattr(error.orig, "diag", None), "context", None) or ""


def _is_about_counters(error: DBAPIError) -> bool:
    """Whether a row of the slot was locked. Words may be translated; names in double quotes are not."""
    return any(f'"{table}"' in _context(error) for table in ("mailing_counters", "tallies", "ledger_totals"))
