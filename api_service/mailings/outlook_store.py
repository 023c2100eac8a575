"""Where mailings stand that are under way: from counters and a look into an index, and never from all messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from api_service.mailings.outlook import Dispatchers, Facts, Opening, Outlook, Progress, outlook
from shared.database.models import Mailing
from shared.domain.mailing import MailingState, mailing_state
from shared.domain.message import MessageState
from shared.ledger import pace
from shared.ledger.figures import Figures
from shared.messages.parts import Place
from shared.messages.waiting import find_last
from shared.rates.limits import DISPATCH, used_up
from shared.rates.paces import notes

MOST_OPENINGS = 100
"""Of a mailing: there are no more different clocks on earth."""


def read(
    session: Session, mailings: Sequence[Mailing], figures: Mapping[int, Figures], now: datetime
) -> dict[int, Outlook]:
    """Of all of them with a few queries, by id. figures: of each, as of the same moment."""
    running = [mailing for mailing in mailings if mailing_state(mailing, now) is MailingState.RUNNING]
    connection = session.connection()
    dispatchers = _dispatchers(connection) if running else Dispatchers()
    progress = _progress(connection, running, figures) if running else {}
    return {
        mailing.id: outlook(
            Facts(
                mailing,
                figures[mailing.id].states,
                now,
                Dispatchers(dispatchers.number) if mailing.test else dispatchers,  # the provider of tests has no limits
                progress.get(mailing.id, Progress()),
            )
        )
        for mailing in mailings
    }


def _dispatchers(connection: Connection) -> Dispatchers:
    alive = notes(connection)
    seen = [one for note in alive for one in note.seen.values()]
    return Dispatchers(
        number=len(alive),
        pace=sum(one.pace for one in alive),
        is_down=bool(seen) and all(one["open"] for one in seen),
        is_limited=any(one["limited"] for one in seen),
        is_rated=DISPATCH in used_up(connection),
    )


def _progress(
    connection: Connection, mailings: Sequence[Mailing], figures: Mapping[int, Figures]
) -> dict[int, Progress]:
    rows = connection.execute(_PROGRESS, {"ids": [mailing.id for mailing in mailings], "most": MOST_OPENINGS})
    retried = [each for each in mailings if figures[each.id].states[MessageState.RETRYING]]
    last = find_last(connection, [Place(each.id, each.part) for each in retried])
    found = {}
    for row in rows:
        openings = [Opening(*one) for one in zip(row.opens_at or (), row.messages or (), strict=True)]
        found[row.id] = Progress(
            row.pace, row.latest_pace, openings, last.get(row.id), row.held_until, float(row.to_create)
        )
    return found


# A launch goes through the ids of clients in their order. Who matches is taken to be as frequent among those to come;
# how many messages a retry will have is not known.
_PROGRESS = text(f"""
    select m.id, paces.pace, paces.latest_pace, openings.opens_at, openings.messages,
           (select held_until from mailing_standings where mailing_id = m.id) as held_until,
           case when m.launched_at is null and m.retry_of is null and m.audience_cursor > 0
                then m.audience * (m.audience_limit - m.audience_cursor)::float / m.audience_cursor else 0
           end as to_create
    from mailings m
    cross join lateral (select max(paced_at) as at from mailing_counters where mailing_id = m.id) last
    cross join lateral (
        select {pace.current("c")} as pace, {pace.latest("c", "last.at")} as latest_pace
        from mailing_counters c where c.mailing_id = m.id
    ) paces
    cross join lateral (
        select array_agg(opens_at order by opens_at) as opens_at, array_agg(messages order by opens_at) as messages
        from (
            select opens_at, sum(messages)::bigint as messages from mailing_openings
            where mailing_id = m.id and opens_at > now() group by opens_at having sum(messages) > 0
            order by opens_at limit :most
        ) ahead
    ) openings
    where m.id = any(:ids)
""")
