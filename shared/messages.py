"""The one writer of message states. Every move is a compare-and-set: a row in another state is left alone.

Who moves what:

    feeder       create, take (→ queued), rescue (a lease ran out), close (the mailing is over), reopen_windows
    dispatcher   claim (→ sending), record (what the attempt led to)
    both         hand_back (→ pending)
    API service  cancel_client

All functions run inside a transaction of the caller's and enter what they moved in its ledger (`shared.ledger`).
Only `record` waits for rows that somebody else has locked; the others skip them. The clock is the database's: `now()`
of the transaction.

The statements leave the planner no choice that depends on statistics: a launch turns an empty table into one of a
million rows within seconds, long before anybody has analysed it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, TextClause, text

from shared.domain import timezones
from shared.domain.message import AMBIGUOUS_ERRORS, Error, MessageState
from shared.domain.retry import Decision, Finish, Retry
from shared.domain.window import Window
from shared.ledger.entries import Entries

_Row = Row[*tuple[Any, ...]]

GRACE = timedelta(seconds=30)
"""How long a message may stay on the broker, beyond the delay of its rung, before the feeder puts it there again."""

_AMBIGUOUS = "(" + ", ".join(f"'{error}'" for error in sorted(AMBIGUOUS_ERRORS)) + ")"
_GRACE = f"interval '{GRACE.total_seconds():g} s'"
_WAITING = "status in ('pending', 'queued', 'retrying')"  # as in the index messages_due_idx


# ---------------------------------------------------------------- the dispatcher's moves


class Claimed(NamedTuple):
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
    rate: messages per second over all dispatchers, 0 for no limit; the claim then reserves its share of the wire, and
    the lease begins with that.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None or mailing.over:
        return None
    ids = sorted(set(message_ids))
    rows = [] if mailing.paused else _send(connection, mailing, ids, lease)
    if len(rows) < len(ids):
        _leave(connection, entries, mailing, ids)
    if not rows:
        return None
    _enter(entries, mailing_id, Counter(row.status for row in rows), MessageState.SENDING)
    entries.repeated(mailing_id, sum(row.error in AMBIGUOUS_ERRORS for row in rows))
    wait = 0.0
    if rate:
        wait = float(connection.scalar(_RESERVE, {"span": timedelta(seconds=len(rows) / rate)}) or 0.0)
        connection.execute(_WAIT, {"ids": _array(row.id for row in rows), "wait": timedelta(seconds=wait)})
    return Claim(mailing.claim_id, mailing.now, wait, _claimed(mailing, rows))


def _send(connection: Connection, mailing: _Row, message_ids: Sequence[int], lease: timedelta) -> Sequence[_Row]:
    """Moves those to `sending` that may be sent now."""
    window, job = _window(mailing), {"mailing_id": mailing.id, "ids": _array(message_ids)}
    zones = None
    if window is not None:
        zones = connection.scalars(_ZONES, job).all()
        zones = [zone for zone in zones if _hours(window, zone).at(mailing.now)[0]]
    return connection.execute(_SEND, {**job, "zones": zones, "claim_id": mailing.claim_id, "lease": lease}).all()


def _leave(connection: Connection, entries: Entries, mailing: _Row, message_ids: Sequence[int]) -> None:
    """Those that were to be sent and may not now: they wait for the end of the pause or for the opening of the window;
    without a client they are cancelled."""
    rows = _in_hand(connection, mailing.id, message_ids)
    if orphans := [row.id for row in rows if row.timezone is None and not mailing.paused]:
        _cancel(connection, entries, orphans)
        rows = [row for row in rows if row.timezone is not None]
    openings = {} if mailing.paused else _openings(mailing, {row.timezone for row in rows})
    waiting = defaultdict(list)
    for row in rows:
        waiting[openings.get(row.timezone, mailing.now)].append(row)
    for moment, some in sorted(waiting.items()):
        _put_back(connection, entries, mailing.id, some, moment)


def _claimed(mailing: _Row, rows: Sequence[_Row]) -> list[Claimed]:
    window, ends_at = _window(mailing), mailing.ends_at
    deadlines = dict.fromkeys({row.timezone for row in rows}, ends_at)
    if window is not None:
        deadlines = {zone: min(ends_at, _hours(window, zone).at(mailing.now)[1]) for zone in deadlines}
    mailing_id, claim_id, text = mailing.id, mailing.claim_id, mailing.text
    return [
        Claimed(  # in the order of its fields: by their names it takes twice as long
            message_id, mailing_id, client_id, claim_id, phone, text, attempts, ends_at, deadlines[timezone],
            error in AMBIGUOUS_ERRORS,
        )
        for message_id, _, client_id, attempts, error, phone, timezone in rows
    ]  # fmt: skip


# `claims` gives every claim a number of its own, the fencing token: a result is recorded only while the row carries it.
_MAILING = text("""
    select id, text, ends_at, window_from, window_until, now() as now, paused_at is not null as paused,
           cancelled_at is not null or ends_at <= now() as over, nextval('claims') as claim_id
    from mailings where id = :mailing_id
""")


def _in_hand(connection: Connection, mailing_id: int, message_ids: Iterable[int]) -> Sequence[_Row]:
    return connection.execute(_IN_HAND, {"mailing_id": mailing_id, "ids": _array(sorted(set(message_ids)))}).all()


def _array(numbers: Iterable[int]) -> str:
    """As one literal, which the server reads faster than a list of expressions."""
    return "{" + ",".join(map(str, numbers)) + "}"


# What a job names and may be sent: a retry when its rung has passed, not when an older job names it.
# `limit 1`: by the id and by nothing else, or old statistics make the partial indexes look small; they hold every
# version of a message that no vacuum has removed yet.
_JOB = """
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select * from messages where id = job.id limit 1 for update skip locked) m
    left join lateral (select phone, timezone from clients where id = m.client_id limit 1) c on true
"""
_MAY_BE_SENT = f"""
    m.mailing_id = :mailing_id and (m.status = 'queued' or m.status = 'retrying' and m.due_at <= now() + {_GRACE})
"""
_IN_HAND = text(f"select m.id, m.status, c.timezone {_JOB} where {_MAY_BE_SENT}")

# The zones in which the window is open, as far as these messages go; none: there is no window.
_SEND = text(f"""
    with job as materialized (
        select m.id, m.status, m.client_id, m.attempts, m.error, c.phone, c.timezone {_JOB}
        where {_MAY_BE_SENT} and c.phone is not null
          and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[])))
    ), moved as (
        update messages set status = 'sending', claim_id = :claim_id, due_at = now() + :lease
        where id = any(array(select id from job))
    )
    select * from job
""")
_ZONES = text("""
    select distinct c.timezone
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select client_id from messages where id = job.id limit 1) m
    cross join lateral (select timezone from clients where id = m.client_id limit 1) c
""")
_WAIT = text("update messages set due_at = due_at + :wait where id = any(cast(:ids as bigint[]))")

# The next free moment on the wire moves on by the time that these messages take at the given rate.
_RESERVE = text("""
    update send_rate set next_at = greatest(next_at, now()) + :span where id = 1
    returning extract(epoch from next_at - cast(:span as interval) - now())
""")


def _enter(entries: Entries, mailing_id: int, befores: Mapping[str, int], after: MessageState) -> None:
    """Rows that this transaction has locked: how many it found in each state."""
    for before, count in befores.items():
        entries.moved(mailing_id, MessageState(before), after, count)


def _put_back(
    connection: Connection, entries: Entries, mailing_id: int, rows: Sequence[_Row], due_at: datetime
) -> None:
    """Locked rows: `pending` until the given moment."""
    if rows:
        connection.execute(_PUT_BACK, {"ids": _array(row.id for row in rows), "due_at": due_at})
        _enter(entries, mailing_id, Counter(row.status for row in rows), MessageState.PENDING)


_PUT_BACK = text("update messages set status = 'pending', due_at = :due_at where id = any(cast(:ids as bigint[]))")


def _openings(mailing: _Row, zones: Collection[str]) -> dict[str, datetime]:
    """Those of the time zones in which the mailing's window is closed now, and when it opens."""
    window = _window(mailing)
    if window is None:
        return {}
    hours = {zone: _hours(window, zone).at(mailing.now) for zone in zones}
    return {zone: change for zone, (is_open, change) in hours.items() if not is_open}


class _Hours:
    """The hours of a time zone in which a window is open. Kept from change to change: they take long to work out."""

    def __init__(self, window: Window, zone: str) -> None:
        self._window, self._zone = window, timezones.stored(zone)
        self._known = (_NEVER, _NEVER, False)

    def at(self, now: datetime) -> tuple[bool, datetime]:
        """Whether the window is open, and when that changes."""
        since, change, is_open = self._known
        if not since <= now < change:
            is_open = self._window.contains(now, self._zone)
            find = self._window.next_closing if is_open else self._window.next_opening
            change = find(now, self._zone)
            self._known = (now, change, is_open)
        return is_open, change


_NEVER = datetime.min.replace(tzinfo=UTC)
_hours = lru_cache(maxsize=4096)(_Hours)


def _window(mailing: _Row) -> Window | None:
    return None if mailing.window_from is None else Window(mailing.window_from, mailing.window_until)


def _closing(job: str) -> TextClause:
    """A statement that gives waiting messages, which `job` selects and locks, their last state: `unknown` where the
    provider may have taken one. A message in `sending` is left to its dispatcher while the lease lasts, and then to
    `rescue`."""
    return _counted(
        job,
        f"""due_at = null,
            status = case when m.error in {_AMBIGUOUS} then 'unknown' else cast(:state as message_state) end""",
    )


def _counted(job: str, assignments: str) -> TextClause:
    """A statement that moves the messages which `job` gives as (id, status), and says how many went from where to
    where."""
    return text(f"""
        with job as materialized ({job}), moved as (
            update messages m set {assignments} from job where m.id = job.id
            returning m.mailing_id, job.status as before, m.status as after
        )
        select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after
    """)


def _enter_counts(entries: Entries, rows: Iterable[_Row], error: Error | None = None) -> int:
    """How many there are."""
    total = 0
    for row in rows:
        entries.moved(row.mailing_id, MessageState(row.before), MessageState(row.after), row.number, error)
        total += row.number
    return total


def _cancel(connection: Connection, entries: Entries, message_ids: Sequence[int]) -> None:
    """Locked rows."""
    _enter_counts(entries, connection.execute(_CANCEL, {"ids": _array(message_ids), "state": MessageState.CANCELLED}))


_CANCEL = _closing("select id, status from messages where id = any(cast(:ids as bigint[]))")


class Verdict(NamedTuple):
    """What is to become of a claimed message after an attempt. `error`: why the attempt did not succeed."""

    message: Claimed
    decision: Decision
    error: Error | None = None


def record(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """Writes the verdicts of attempts whose lease is still held; the number of those that came too late.

    pause: how long a message waits that is handed back without an attempt spent. No message may occur twice.
    """
    groups: dict[tuple[Decision, Error | None, bool], list[Claimed]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: verdict.message.id):
        groups[verdict.decision, verdict.error, verdict.message.repeat].append(verdict.message)
    recorded = 0
    for (decision, error, repeat), messages in groups.items():
        key = {
            "ids": _array(message.id for message in messages),
            "claims": _array(message.claim_id for message in messages),
        }
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
            if repeat and after is MessageState.PENDING and error is None:
                entries.repeated(row.mailing_id, -row.number)  # the call was not made
            recorded += row.number
    return len(verdicts) - recorded


# Whoever moves a message out of `sending` takes the token off it. So the token says it all, and the state need not be
# asked for, which would bring the partial indexes into play.
def _recording(assignments: str) -> TextClause:
    return text(f"""
        with moved as (
            update messages m set claim_id = null, {assignments}
            from unnest(cast(:ids as bigint[]), cast(:claims as bigint[])) as job (id, claim_id)
            where m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id
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


def hand_back(connection: Connection, entries: Entries, mailing_id: int, message_ids: Sequence[int]) -> None:
    """Messages whose job cannot be carried out now: `pending`, and due at once."""
    rows = _in_hand(connection, mailing_id, message_ids)
    _put_back(connection, entries, mailing_id, rows, connection.scalar(_NOW))


_NOW = text("select now()")


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

    They are to be published after the commit. Those whose client's window is closed wait for its opening instead, and
    the next ones are looked at, until there have been enough.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one()
    if mailing.paused or mailing.over:
        return []
    due = _DUE if mailing.window_from is None else _DUE_BY_ZONE
    ids: list[int] = []
    looked_at, found = 0, True
    while found and len(ids) < limit and looked_at < max(limit, _LOOK):
        groups = connection.execute(due, {"mailing_id": mailing_id, "limit": limit - len(ids)}).all()
        openings = _openings(mailing, {group.timezone for group in groups} - {None})
        ready = [message_id for group in groups if group.timezone not in openings for message_id in group.ids]
        for group in groups:
            state = MessageState.PENDING if group.timezone in openings else MessageState.QUEUED
            _enter(entries, mailing_id, {group.status: len(group.ids)}, state)
            if state is MessageState.PENDING:
                connection.execute(_PUT_BACK, {"ids": _array(group.ids), "due_at": openings[group.timezone]})
        if ready:
            connection.execute(_QUEUE, {"ids": _array(ready)})
        ids += ready
        number = sum(len(group.ids) for group in groups)
        looked_at += number
        found = number > len(ready)  # else these were all there are, or enough
    return sorted(ids)


_LOOK = 10_000


def _due_rows(timezone: str) -> TextClause:
    """Locked, as one array of ids for each time zone and state: thousands of rows, and next to nothing to do for each.

    In the order of the index, which so is the only way to read them, whatever the statistics promise.
    """
    return text(f"""
        with job as materialized (
            select id, status, {timezone} as timezone
            from messages m where mailing_id = :mailing_id and due_at <= now() and {_WAITING}
            order by due_at limit :limit for update skip locked
        )
        select timezone, status, array_agg(id) as ids from job group by timezone, status
    """)


_DUE = _due_rows("cast(null as text)")
_DUE_BY_ZONE = _due_rows("(select timezone from clients c where c.id = m.client_id)")
_QUEUE = text(
    f"update messages set status = 'queued', due_at = now() + {_GRACE} where id = any(cast(:ids as bigint[]))"
)


def make_due(connection: Connection) -> None:
    """What is queued becomes due at once: the broker may have lost it. What it has not lost is claimed only once."""
    connection.execute(_MAKE_DUE)


_MAKE_DUE = text("""
    with job as materialized (
        select m.id from mailings g cross join lateral (
            select id from messages where mailing_id = g.id and status = 'queued' and due_at > now()
            order by due_at for update skip locked) m
        where g.finished_at is null
    )
    update messages m set due_at = now() from job where m.id = job.id
""")


def rescue(connection: Connection, entries: Entries, attempts: int, limit: int) -> int:
    """Leases that ran out: the messages become `pending`, or `unknown` where there is no attempt left; how many.

    What became of such an attempt nobody knows, so it counts as one.
    """
    rows = connection.execute(_RESCUE, {"attempts": attempts, "limit": limit})
    return _enter_counts(entries, rows, Error.LEASE_LOST)


_RESCUE = _counted(
    """
        select id, status, attempts + 1 >= :attempts or (
            select cancelled_at is not null or ends_at <= now() from mailings where id = mailing_id) as last
        from messages where status = 'sending' and due_at <= now()
        order by due_at limit :limit for update skip locked
    """,
    f"""claim_id = null, attempts = m.attempts + 1, error = '{Error.LEASE_LOST}',
        status = case when job.last then 'unknown'::message_state else 'pending' end,
        due_at = case when job.last then null else now() end""",
)


def close(connection: Connection, entries: Entries, mailing_id: int, state: MessageState, limit: int) -> int:
    """Gives waiting messages of a mailing that is over their last state, `expired` or `cancelled`; how many."""
    return _enter_counts(
        entries, connection.execute(_CLOSE, {"mailing_id": mailing_id, "state": state, "limit": limit})
    )


_CLOSE = _closing(f"""
    select id, status from messages where mailing_id = :mailing_id and {_WAITING}
    order by due_at limit :limit for update skip locked
""")


def reopen_windows(connection: Connection, mailing_id: int, limit: int) -> int:
    """After a change of the send window: waiting messages become due, at most `limit`, to be timed anew; how many."""
    return connection.execute(_REOPEN, {"mailing_id": mailing_id, "limit": limit}).rowcount


_REOPEN = text("""
    with job as materialized (
        select id from messages where mailing_id = :mailing_id and status = 'pending' and due_at > now()
        order by due_at limit :limit for update skip locked
    )
    update messages m set due_at = now() from job where m.id = job.id
""")


# ---------------------------------------------------------------- the API service's move


def cancel_client(connection: Connection, entries: Entries, client_id: int) -> None:
    """Cancels the waiting messages of a client who is being deleted; one on the wire is left to its dispatcher."""
    _enter_counts(
        entries, connection.execute(_CANCEL_CLIENT, {"client_id": client_id, "state": MessageState.CANCELLED})
    )


_CANCEL_CLIENT = _closing(f"""
    select m.id, m.status from mailings g cross join lateral (
        select id, status from messages where mailing_id = g.id and client_id = :client_id and {_WAITING}
        for update skip locked) m
    where g.finished_at is null
""")
