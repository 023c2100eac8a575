"""What several moves have in common: pieces of SQL, and how rows that a move has locked are entered."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from shared.domain.hours import hours_of
from shared.domain.message import AMBIGUOUS_ERRORS, Error, MessageState
from shared.domain.window import Window
from shared.ledger.entries import Entries

AnyRow = Row[*tuple[Any, ...]]

GRACE = timedelta(seconds=30)
"""How long a message may stay on the broker, beyond the delay of its rung, before the feeder puts it there again."""

AMBIGUOUS = "(" + ", ".join(f"'{error}'" for error in sorted(AMBIGUOUS_ERRORS)) + ")"
GRACE_INTERVAL = f"interval '{GRACE.total_seconds():g} s'"
WAITING = "status in ('pending', 'queued', 'retrying')"  # as in the index messages_due_idx


def array(numbers: Iterable[int]) -> str:
    """As one literal, which the server reads faster than a list of expressions."""
    return "{" + ",".join(map(str, numbers)) + "}"


# What a job names and may be sent: a retry when its rung has passed, not when an older job names it.
# `limit 1`: by the id and by nothing else, or old statistics make the partial indexes look small; they hold every
# version of a message that no vacuum has removed yet.
JOB = """
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select * from messages where id = job.id limit 1 for update skip locked) m
    left join lateral (select phone, timezone from clients where id = m.client_id limit 1) c on true
"""
MAY_BE_SENT = f"""
    m.mailing_id = :mailing_id
    and (m.status = 'queued' or m.status = 'retrying' and m.due_at <= now() + {GRACE_INTERVAL})
"""


def lock_job(connection: Connection, mailing_id: int, message_ids: Iterable[int]) -> Sequence[AnyRow]:
    """Locks those messages of a job that may be sent."""
    return connection.execute(_LOCK_JOB, {"mailing_id": mailing_id, "ids": array(sorted(set(message_ids)))}).all()


_LOCK_JOB = text(f"select m.id, m.status, c.timezone {JOB} where {MAY_BE_SENT}")


def enter(entries: Entries, mailing_id: int, befores: Mapping[str, int], after: MessageState) -> None:
    """Rows that this transaction has locked: how many it found in each state."""
    for before, count in befores.items():
        entries.moved(mailing_id, MessageState(before), after, count)


def put_back(
    connection: Connection, entries: Entries, mailing_id: int, rows: Sequence[AnyRow], due_at: datetime
) -> None:
    """Locked rows: `pending` until the given moment."""
    if rows:
        connection.execute(PUT_BACK, {"ids": array(row.id for row in rows), "due_at": due_at})
        enter(entries, mailing_id, Counter(row.status for row in rows), MessageState.PENDING)


PUT_BACK = text("update messages set status = 'pending', due_at = :due_at where id = any(cast(:ids as bigint[]))")


def closing(job: str) -> TextClause:
    """A statement that gives waiting messages, which `job` selects and locks, their last state: `unknown` where the
    provider may have taken one. A message in `sending` is left to its dispatcher while the lease lasts, and then to
    `rescue`."""
    return counted(
        job,
        f"""due_at = null,
            status = case when m.error in {AMBIGUOUS} then 'unknown' else cast(:state as message_state) end""",
    )


def counted(job: str, assignments: str) -> TextClause:
    """A statement that moves the messages which `job` gives as (id, status), and says how many went from where to
    where."""
    return text(f"""
        with job as materialized ({job}), moved as (
            update messages m set {assignments} from job where m.id = job.id
            returning m.mailing_id, job.status as before, m.status as after
        )
        select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after
    """)


def enter_counts(entries: Entries, rows: Iterable[AnyRow], error: Error | None = None) -> int:
    """How many there are."""
    total = 0
    for row in rows:
        entries.moved(row.mailing_id, MessageState(row.before), MessageState(row.after), row.number, error)
        total += row.number
    return total


def mailing_with(more: str = "") -> TextClause:
    """A statement that reads what decides whether messages of a mailing may be sent now. more: columns to add."""
    return text(f"""
        select id, text, ends_at, window_from, window_until, now() as now, paused_at is not null as paused,
               cancelled_at is not null or ends_at <= now() as over {more}
        from mailings where id = :mailing_id
    """)


def window_of(mailing: AnyRow) -> Window | None:
    return None if mailing.window_from is None else Window(mailing.window_from, mailing.window_until)


def openings_of(mailing: AnyRow, zones: Collection[str]) -> dict[str, datetime]:
    """Those of the time zones in which the mailing's window is closed now, and when it opens."""
    window = window_of(mailing)
    if window is None:
        return {}
    hours = {zone: hours_of(window, zone).at(mailing.now) for zone in zones}
    return {zone: change for zone, (is_open, change) in hours.items() if not is_open}
