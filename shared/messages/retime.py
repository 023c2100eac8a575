"""Messages that wait are timed anew: after a change of the send window, or of their client's time zone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from shared.domain.gates.window import openings_of, window_of
from shared.domain.window import Window
from shared.ledger.entries import Entries
from shared.messages.fragments import AnyRow, array
from shared.messages.parts import end_of_span
from shared.messages.zones import hold_zones, hold_zones_alone


@dataclass(frozen=True, slots=True)
class Retimed:
    """How far a mailing has been gone through. window: by which; the ids up to `last` are timed by it. number: messages
    that were written in the last slice. complete: there are none behind `last`."""

    window: Window | None
    last: int
    number: int
    complete: bool


def retime_messages(
    connection: Connection, entries: Entries, mailing_id: int, span: int, before: Retimed | None = None
) -> Retimed:
    """The next `span` messages of where a mailing has its own: what waits for an opening waits for that of the window
    which the mailing has now, or is due where that is open.

    Each is written once, and not at all where it waits for the right moment already: so whoever begins anew, as a
    leader does that does not know how far the last one came, does no harm. The mailing's row is locked, so no slice of
    a launch comes in between. What somebody else has locked they have claimed, or are about to put off themselves.

    before: where the last slice came to; it counts only if the window is still the same.
    """
    mailing = connection.execute(_LOCK, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None or mailing.first_message_id is None:
        return Retimed(None, 0, 0, complete=True)
    hold_zones(connection)
    window = window_of(mailing)
    goes_on = before is not None and before.window == window
    first = before.last + 1 if before and goes_on else mailing.first_message_id
    last = end_of_span(connection, mailing.part, first, mailing.last_message_id, span)
    slice_ = {"part": mailing.part, "mailing_id": mailing_id, "first": first, "last": last}
    rows = connection.execute(_WAIT_FOR_OPENING, slice_).all()
    times = _times(mailing, rows)
    if times:
        moved = {"part": mailing.part, "ids": array(times), "times": list(times.values())}
        connection.execute(_RETIME, moved)
        entries.look(mailing_id, min(times.values()) - mailing.now)
        for row in rows:
            _enter(entries, mailing_id, row.due_at, times.get(row.id), mailing.now)
    return Retimed(window, last, len(times), complete=last == mailing.last_message_id)


def _enter(entries: Entries, mailing_id: int, before: datetime, after: datetime | None, now: datetime) -> None:
    """What one waits for. after: None: the same as before."""
    if after is not None:
        entries.opens(mailing_id, before, -1)
        if after > now:
            entries.opens(mailing_id, after, 1)


def _times(mailing: AnyRow, rows: Sequence[AnyRow]) -> dict[int, datetime]:
    """When those are due that have another moment than they should. One whose client is gone is due: the claim ends
    it."""
    openings = openings_of(mailing, {row.timezone for row in rows} - {None})
    times = {row.id: openings.get(row.timezone, mailing.now) for row in rows}
    return {row.id: times[row.id] for row in rows if row.due_at != times[row.id]}


_LOCK = text("""
    select part, first_message_id, last_message_id, window_from, window_until, now() as now
    from mailings where id = :mailing_id for update
""")

# The status as text, so that no index of a few states is a way to it, whatever the statistics promise.
_WAIT_FOR_OPENING = text("""
    select m.id, m.due_at, (select timezone from clients where id = m.client_id limit 1) as timezone
    from messages m
    where part = :part and id between :first and :last and mailing_id = :mailing_id
      and status::text = 'pending' and due_at > now()
    for update skip locked
""")

_RETIME = text("""
    update messages m set due_at = job.due_at
    from unnest(cast(:ids as bigint[]), cast(:times as timestamptz[])) as job (id, due_at)
    where m.part = :part and m.id = job.id
""")


def retime_clients(connection: Connection, entries: Entries, client_ids: Collection[int]) -> None:
    """Clients have other time zones now, written in this transaction: what waits for an opening waits for that of the
    zone which they have, or is due where the window is open there. What is due already is put off by its claim."""
    hold_zones_alone(connection)
    for part in connection.scalars(_WITH_WINDOWS).all():
        rows = connection.execute(_OF_CLIENTS, {"part": part, "client_ids": array(client_ids)}).all()
        times: dict[int, datetime] = {}
        looks: dict[int, timedelta] = {}
        for row in rows:
            moment = openings_of(row, [row.timezone]).get(row.timezone, row.now)
            if moment != row.due_at:
                times[row.id] = moment
                _enter(entries, row.mailing_id, row.due_at, moment, row.now)
                looks[row.mailing_id] = min(moment - row.now, looks.get(row.mailing_id, moment - row.now))
        if times:
            connection.execute(_RETIME, {"part": part, "ids": array(times), "times": list(times.values())})
        for mailing_id, due_in in looks.items():
            entries.look(mailing_id, due_in)


_WITH_WINDOWS = text("""
    select distinct part from mailings
    where finished_at is null and part is not null and window_from is not null order by part
""")

# All that a client has in a part, which are few, by the unique index. The status as text: see above.
_OF_CLIENTS = text("""
    select m.id, m.mailing_id, m.due_at, c.timezone, g.window_from, g.window_until, now() as now
    from unnest(cast(:client_ids as bigint[])) as client (id)
    cross join lateral (
        select id, mailing_id, due_at from messages
        where part = :part and client_id = client.id and status::text = 'pending' and due_at > now()
        for update skip locked
    ) m
    cross join lateral (select * from mailings where id = m.mailing_id and window_from is not null limit 1) g
    cross join lateral (select timezone from clients where id = client.id limit 1) c
""")
