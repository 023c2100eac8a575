"""The one writer of message states. Every move is a compare-and-set: a row in another state is left alone.

Who moves what:

    feeder       create, take (→ queued), rescue (a lease ran out), close (the mailing is over), reopen_windows
    dispatcher   claim (→ sending), record (what the attempt led to), hand_back (→ pending)
    API service  cancel_client

All functions run inside a transaction of the caller's and enter what they moved in its ledger (`shared.ledger`).
Batches lock rows in the order of their ids; all but `record` skip rows that somebody else has locked.
The clock is the database's: `now()` of the transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from shared import timezones
from shared.ledger import Entries
from shared.message_state import AMBIGUOUS_ERRORS, Error, MessageState
from shared.retry import Decision, Finish, Retry
from shared.window import Window

GRACE = timedelta(seconds=30)
"""How long a message may stay on the broker, beyond the delay of its rung, before the feeder puts it there again."""

_AMBIGUOUS = "(" + ", ".join(f"'{error}'" for error in sorted(AMBIGUOUS_ERRORS)) + ")"
_GRACE = f"interval '{GRACE.total_seconds():g} s'"


# ---------------------------------------------------------------- the dispatcher's moves


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this dispatcher alone may send, until its lease runs out.

    attempts: calls made before. ends_at: the mailing's end. deadline: nothing is handed over from this moment on; the
    end, or the closing of the client's window. repeat: the provider may have taken an earlier attempt.
    """

    id: int
    mailing_id: int
    client_id: int
    claim_id: int
    phone: int
    text: str
    attempts: int
    ends_at: datetime
    deadline: datetime
    repeat: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """id: the fencing token. now: the database's clock at the claim. wait: seconds until the first message may be sent,
    where the rate is limited."""

    id: int
    now: datetime
    wait: float
    messages: Sequence[Claimed]


def claim(
    connection: Connection,
    entries: Entries,
    mailing_id: int,
    message_ids: Sequence[int],
    *,
    lease: timedelta,
    rate: float = 0.0,
) -> Claim | None:
    """Takes those of the messages that are to be sent now; the others are skipped, or handed back where they must wait.

    Skipped is what is final, leased, not due yet, locked, or belongs to a mailing that is cancelled or over.
    None where nothing was claimed.
    rate: messages per second over all dispatchers, 0 for no limit; the claim then reserves its share of the wire.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None or mailing.over:
        return None
    if mailing.paused:
        hand_back(connection, entries, message_ids, mailing.now)
        return None
    window = _window(mailing)
    zones = None if window is None else [name for name in timezones.names() if _is_open(window, name, mailing.now)]
    rows = connection.execute(
        _CLAIM, {"mailing_id": mailing_id, "ids": list(message_ids), "lease": lease, "zones": zones}
    ).all()
    for row in rows:
        entries.moved(mailing_id, MessageState(row.before), MessageState.SENDING)
    if len(rows) < len(message_ids):
        taken = {row.id for row in rows}
        left = [message_id for message_id in message_ids if message_id not in taken]
        _postpone(connection, entries, left, window, mailing.now)
    if not rows:
        return None
    wait = 0.0
    if rate:
        wait = float(connection.scalar(_RESERVE, {"span": timedelta(seconds=len(rows) / rate)}) or 0.0)
    deadlines = _Deadlines(mailing.ends_at, window, mailing.now)
    return Claim(
        rows[0].claim_id, mailing.now, wait, [_claimed(row, mailing, deadlines.of(row.timezone)) for row in rows]
    )


def _claimed(row: Row[Any], mailing: Row[Any], deadline: datetime) -> Claimed:
    return Claimed(
        id=row.id,
        mailing_id=mailing.id,
        client_id=row.client_id,
        claim_id=row.claim_id,
        phone=row.phone,
        text=mailing.text,
        attempts=row.attempts,
        ends_at=mailing.ends_at,
        deadline=deadline,
        repeat=row.error in AMBIGUOUS_ERRORS,
    )


_MAILING = text("""
    select id, text, ends_at, window_from, window_until, now() as now, paused_at is not null as paused,
           cancelled_at is not null or ends_at <= now() as over
    from mailings where id = :mailing_id
""")

# `claims` gives every claim a number of its own, the fencing token: a result is recorded only while the row carries it.
# A retry is claimed when its rung has passed, not when an older job names it.
_CLAIM = text(f"""
    with job as materialized (
        select m.id, m.status, c.phone, c.timezone
        from messages m join clients c on c.id = m.client_id
        where m.id = any(:ids) and m.mailing_id = :mailing_id
          and (m.status = 'queued' or m.status = 'retrying' and m.due_at <= now() + {_GRACE})
          and (cast(:zones as text[]) is null or c.timezone = any(:zones))
        order by m.id for update of m skip locked
    ), token as materialized (select nextval('claims') as id)
    update messages m set status = 'sending', claim_id = token.id, due_at = now() + :lease
    from job, token where m.id = job.id
    returning m.id, m.client_id, m.claim_id, m.attempts, m.error, job.status as before, job.phone, job.timezone
""")

# The next free moment on the wire moves on by the time that these messages take at the given rate.
_RESERVE = text("""
    update send_rate set next_at = greatest(next_at, now()) + :span where id = 1
    returning extract(epoch from next_at - cast(:span as interval) - now())
""")


def _postpone(
    connection: Connection,
    entries: Entries,
    message_ids: Sequence[int],
    window: Window | None,
    now: datetime,
) -> None:
    """Messages of a running mailing that were not claimed: those of deleted clients are cancelled, those whose window
    is closed wait for its opening, the rest is none of our business."""
    if window is not None:
        rows = connection.execute(_WAITING_ZONES, {"ids": list(message_ids)}).all()
        _wait_for_window(connection, entries, rows, window, now)
    for row in connection.execute(_CANCEL_ORPHANS, {"ids": list(message_ids)}):
        entries.moved(row.mailing_id, MessageState(row.before), MessageState(row.after))


def _wait_for_window(
    connection: Connection, entries: Entries, rows: Iterable[Row[Any]], window: Window, now: datetime
) -> None:
    by_zone = defaultdict(list)
    for row in rows:
        by_zone[row.timezone].append(row.id)
    for name, ids in by_zone.items():
        opening = window.next_opening(now, timezones.zone(name))
        if opening > now:
            hand_back(connection, entries, ids, opening)


_WAITING_ZONES = text("""
    select m.id, c.timezone from messages m join clients c on c.id = m.client_id
    where m.id = any(:ids) and m.status in ('queued', 'retrying')
""")


def _closing(condition: str, state: str) -> TextClause:
    """A statement that gives waiting messages their last state: `unknown` where the provider may have taken one.

    A message in `sending` is left to its dispatcher while the lease lasts, and then to `rescue`.
    """
    return text(f"""
        with job as materialized (
            select m.id, m.status from messages m where {condition} and m.status in ('pending', 'queued', 'retrying')
            order by m.id for update skip locked
        )
        update messages m set due_at = null,
            status = case when m.error in {_AMBIGUOUS} then 'unknown' else cast({state} as message_state) end
        from job where m.id = job.id
        returning m.mailing_id, job.status as before, m.status as after
    """)


_CANCEL_ORPHANS = _closing(
    "m.id = any(:ids) and not exists (select from clients c where c.id = m.client_id)",
    "'cancelled'",
)


class _Deadlines:
    """The deadline of a client, by his time zone."""

    def __init__(self, ends_at: datetime, window: Window | None, now: datetime) -> None:
        self._ends_at, self._window, self._now = ends_at, window, now
        self._by_zone: dict[str, datetime] = {}

    def of(self, zone: str) -> datetime:
        if self._window is None:
            return self._ends_at
        if zone not in self._by_zone:
            closing = self._window.next_closing(self._now, timezones.zone(zone))
            self._by_zone[zone] = min(self._ends_at, closing)
        return self._by_zone[zone]


def _window(mailing: Row[Any]) -> Window | None:
    return None if mailing.window_from is None else Window(mailing.window_from, mailing.window_until)


def _is_open(window: Window, zone: str, now: datetime) -> bool:
    return window.contains(now, timezones.zone(zone))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a claimed message after an attempt. `error`: why the attempt did not succeed."""

    message: Claimed
    decision: Decision
    error: Error | None = None


def record(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """Writes the verdicts of attempts whose lease is still held; the number of those that came too late.

    pause: how long a message waits that is handed back without an attempt spent. No message may occur twice.
    """
    groups: dict[tuple[Decision, Error | None], list[Claimed]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.decision, verdict.error].append(verdict.message)
    recorded = 0
    for (decision, error), messages in groups.items():
        key = {"ids": [message.id for message in messages], "claims": list({message.claim_id for message in messages})}
        if isinstance(decision, Finish):
            after = decision.state
            rows = connection.execute(_FINISH, {**key, "after": after, "error": error}).all()
        elif isinstance(decision, Retry):
            after = MessageState.RETRYING
            rows = connection.execute(_RETRY, {**key, "delay": decision.delay, "error": error}).all()
        else:
            after = MessageState.PENDING
            rows = connection.execute(_RETURN, {**key, "pause": pause}).all()
        for row in rows:
            entries.moved(row.mailing_id, MessageState.SENDING, after, row.number, error)
            recorded += row.number
    return len(verdicts) - recorded


def _recording(assignments: str) -> TextClause:
    return text(f"""
        with moved as (
            update messages m set {assignments}
            where m.id = any(:ids) and m.status = 'sending' and m.claim_id = any(:claims) returning m.mailing_id
        )
        select mailing_id, count(*) as number from moved group by mailing_id
    """)


_FINISH = _recording("""
    status = cast(:after as message_state), attempts = m.attempts + 1, error = :error, due_at = null,
    sent_at = case when :after = 'sent' then now() end
""")
_RETRY = _recording(f"""
    status = 'retrying', attempts = m.attempts + 1, error = :error, due_at = now() + :delay + {_GRACE}
""")
_RETURN = _recording("status = 'pending', due_at = now() + :pause")


def hand_back(connection: Connection, entries: Entries, message_ids: Sequence[int], due_at: datetime) -> None:
    """Messages whose job cannot be carried out now: `pending` until the given moment."""
    for row in connection.execute(_HAND_BACK, {"ids": list(message_ids), "due_at": due_at}):
        entries.moved(row.mailing_id, MessageState(row.before), MessageState.PENDING)


_HAND_BACK = text("""
    with job as materialized (
        select id, status from messages where id = any(:ids) and status in ('pending', 'queued', 'retrying')
        order by id for update skip locked
    )
    update messages m set status = 'pending', due_at = :due_at from job where m.id = job.id
    returning m.mailing_id, job.status as before
""")


# ---------------------------------------------------------------- the feeder's moves


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a launch. count: messages created. complete: it was the last one."""

    count: int
    complete: bool


def create(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> Slice:
    """Creates the next messages of a mailing's audience, at most `limit`, and moves its cursor behind them.

    The snapshot covers the clients that exist when the first slice is made. A mailing that is over by then is launched
    all the same, so that everybody can see what was not sent: its messages are `expired` from the start.
    """
    mailing = connection.execute(_LOCK_LAUNCH, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None:
        return Slice(0, complete=True)
    state = MessageState.EXPIRED if mailing.over else MessageState.PENDING
    row = connection.execute(_CREATE, {**mailing._mapping, "state": state, "limit": limit}).one()
    complete = row.number < limit
    cursor = mailing.audience_limit if complete else row.last
    connection.execute(_MOVE_CURSOR, {**mailing._mapping, "cursor": cursor, "count": row.number, "complete": complete})
    if row.number:
        entries.created(mailing_id, state, row.number)
    return Slice(row.number, complete)


_LOCK_LAUNCH = text("""
    select id, operator_codes, tags, audience_cursor, ends_at <= now() as over,
           coalesce(audience_limit, (select coalesce(max(id), 0) from clients)) as audience_limit
    from mailings where id = :mailing_id and launched_at is null and cancelled_at is null and starts_at <= now()
    for update
""")

_CREATE = text("""
    with audience as (
        select id from clients where id > :audience_cursor and id <= :audience_limit
          and (cast(:operator_codes as text[]) = '{}' or operator_code = any(cast(:operator_codes as text[])))
          and (cast(:tags as text[]) = '{}' or tag = any(cast(:tags as text[])))
        order by id limit :limit
    ), created as (
        insert into messages (mailing_id, client_id, status, due_at)
        select :id, id, cast(:state as message_state), case when :state = 'pending' then now() end
        from audience order by id returning client_id
    )
    select count(*) as number, max(client_id) as last from created
""")

_MOVE_CURSOR = text("""
    update mailings set audience_limit = :audience_limit, audience_cursor = :cursor, audience = audience + :count,
        launched_at = case when :complete then now() end
    where id = :id
""")


def take(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> list[int]:
    """Moves due messages of a mailing to `queued`, oldest first, at most `limit`; their ids, ascending.

    They are to be published after the commit. Those whose client's window is closed wait for its opening instead.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one()
    if mailing.paused or mailing.over:
        return []
    due = connection.execute(_DUE, {"mailing_id": mailing_id, "limit": limit}).all()
    window = _window(mailing)
    if window is not None:
        closed = [row for row in due if row.timezone and not _is_open(window, row.timezone, mailing.now)]
        _wait_for_window(connection, entries, closed, window, mailing.now)
        waiting = {row.id for row in closed}
        due = [row for row in due if row.id not in waiting]
    if due:
        connection.execute(_QUEUE, {"ids": [row.id for row in due]})
    for row in due:
        entries.moved(mailing_id, MessageState(row.status), MessageState.QUEUED)
    return sorted(row.id for row in due)


_DUE = text("""
    select m.id, m.status, c.timezone from messages m left join clients c on c.id = m.client_id
    where m.mailing_id = :mailing_id and m.due_at <= now() and m.status in ('pending', 'queued', 'retrying')
    order by m.due_at limit :limit for update of m skip locked
""")
_QUEUE = text(f"update messages set status = 'queued', due_at = now() + {_GRACE} where id = any(:ids)")


def make_due(connection: Connection) -> None:
    """What is queued becomes due at once: the broker may have lost it. What it has not lost is claimed only once."""
    connection.execute(_MAKE_DUE)


_MAKE_DUE = text("""
    update messages set due_at = now() where id in (
        select m.id from mailings g join messages m on m.mailing_id = g.id
        where g.finished_at is null and m.status = 'queued' and m.due_at > now() for update of m skip locked)
""")


def rescue(connection: Connection, entries: Entries, attempts: int, limit: int) -> int:
    """Leases that ran out: the messages become `pending`, or `unknown` where there is no attempt left; how many.

    What became of such an attempt nobody knows, so it counts as one.
    """
    rows = connection.execute(_RESCUE, {"attempts": attempts, "limit": limit}).all()
    for row in rows:
        entries.moved(row.mailing_id, MessageState.SENDING, MessageState(row.after), error=Error.LEASE_LOST)
    return len(rows)


_RESCUE = text(f"""
    with job as materialized (
        select m.id, m.attempts + 1 >= :attempts or g.cancelled_at is not null or g.ends_at <= now() as last
        from messages m join mailings g on g.id = m.mailing_id
        where m.status = 'sending' and m.due_at <= now()
        order by m.id limit :limit for update of m skip locked
    )
    update messages m set attempts = m.attempts + 1, error = '{Error.LEASE_LOST}',
        status = case when job.last then 'unknown'::message_state else 'pending' end,
        due_at = case when job.last then null else now() end
    from job where m.id = job.id
    returning m.mailing_id, m.status as after
""")


def close(connection: Connection, entries: Entries, mailing_id: int, state: MessageState, limit: int) -> int:
    """Gives waiting messages of a mailing that is over their last state, `expired` or `cancelled`; how many."""
    rows = connection.execute(_CLOSE, {"mailing_id": mailing_id, "state": state, "limit": limit}).all()
    for row in rows:
        lost = Error.LEASE_LOST if row.before == MessageState.SENDING else None
        entries.moved(mailing_id, MessageState(row.before), MessageState(row.after), error=lost)
    return len(rows)


_CLOSE = _closing(
    """m.id in (select id from messages where mailing_id = :mailing_id and due_at is not null limit :limit)
       and m.mailing_id = :mailing_id""",
    ":state",
)


def reopen_windows(connection: Connection, mailing_id: int, limit: int) -> int:
    """After a change of the send window: waiting messages become due, at most `limit`, to be timed anew; how many."""
    return connection.execute(_REOPEN, {"mailing_id": mailing_id, "limit": limit}).rowcount


_REOPEN = text("""
    update messages set due_at = now() where id in (
        select id from messages where mailing_id = :mailing_id and status = 'pending' and due_at > now()
        limit :limit for update skip locked)
""")


# ---------------------------------------------------------------- the API service's move


def cancel_client(connection: Connection, entries: Entries, client_id: int) -> None:
    """Cancels the waiting messages of a client who is being deleted; one on the wire is left to its dispatcher."""
    for row in connection.execute(_CANCEL_CLIENT, {"client_id": client_id}):
        entries.moved(row.mailing_id, MessageState(row.before), MessageState(row.after))


_CANCEL_CLIENT = _closing(
    "m.client_id = :client_id and m.mailing_id in (select id from mailings where finished_at is null)",
    "'cancelled'",
)
