"""What a preflight looks up: who would get a mailing, how fast it would go, and what else goes on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from api_service.mailings.counting import SECONDS
from api_service.mailings.facts import Facts, Origins, Overlap, Rate, RateFrom, Wording
from api_service.mailings.forecast import by_hour, done_at, openings
from api_service.mailings.wanted import Wanted
from api_service.web.time_limit import in_time
from api_service.web.work import is_of_tests
from shared.audience.surveying import Sampled, sample, survey
from shared.domain.apart import IS_APART
from shared.domain.message import OPEN_STATES
from shared.domain.numbering import origin
from shared.domain.state_sql import total
from shared.domain.survey import Survey, estimate
from shared.domain.text.parts import parts
from shared.domain.text.spelling import culprits, is_avoidable, spelled
from shared.messages.overlap import find_overlap as overlap_of
from shared.rates.paces import paces

_LOOKING = SECONDS / 2
"""For so long each look at a sample goes on at the most."""

SAMPLE = 10_000
"""People who are looked at one by one."""


def look(connection: Connection, wanted: Wanted, now: datetime) -> Facts:
    """Who would get it, and when: all that blockers are made of. In a transaction, which goes on in any case."""
    starts_at = max(wanted.starts_at, now)
    counted = None if wanted.unknown else in_time(connection, SECONDS, lambda: survey(connection, wanted.audience))
    opening = openings(counted.timezones, wanted.window, starts_at, wanted.ends_at) if counted else []
    return Facts(
        now=now,
        starts_at=starts_at,
        ends_at=wanted.ends_at,
        wording=wording(wanted.text),
        has_window=wanted.window is not None,
        unknown=wanted.unknown,
        survey=counted,
        openings=opening,
        by_hour=by_hour(opening),
    )


def wording(message: str) -> Wording:
    """How a text travels, and what there is to be won by other signs."""
    found, takes = culprits(message), parts(message)
    better = parts(spelled(message, found)) if found and is_avoidable(found) else takes
    return Wording(takes, found, better if better.count < takes.count else None)


class Pace(NamedTuple):
    """dispatchers: how many are alive. ahead: messages that go before the mailing's."""

    rate: Rate | None
    dispatchers: int
    ahead: int


def read_pace(session: Session, wanted: Wanted, starts_at: datetime, limit: float) -> Pace:
    """limit: messages a second that the service may send; 0: none is known."""
    connection = session.connection()
    alive = paces(connection)
    known = [Rate(limit, RateFrom.LIMIT)] if limit else []
    if now := sum(alive):
        known.append(Rate(now, RateFrom.PACE))
    elif (before := connection.scalar(_FASTEST)) is not None:
        known.append(Rate(before, RateFrom.HISTORY))
    rate = min(known, key=lambda one: one.per_second, default=None)
    ahead = connection.scalar(_AHEAD, {
        "starts_at": starts_at, "ends_at": wanted.ends_at, "priority": wanted.priority, "is_test": is_of_tests(session),
    })  # fmt: skip
    return Pace(rate, len(alive), ahead or 0)


def foretell(wanted: Wanted, facts: Facts, pace: Pace) -> datetime | None:
    """When it would be done: what is reached before the end, if there were no end after that."""
    if pace.rate is None or facts.survey is None:
        return None
    people = {one.zone: one.people for one in facts.openings if one.at is not None}
    sent_until_then = pace.rate.per_second * (facts.starts_at - facts.now).total_seconds()
    ahead = max(0, pace.ahead - int(sent_until_then))
    return done_at(people, wanted.window, facts.starts_at, pace.rate.per_second, ahead)


def draw(connection: Connection, wanted: Wanted, counted: Survey) -> Sequence[Sampled] | None:
    """Some of those who would get it. None: not in time."""
    return in_time(connection, _LOOKING, lambda: sample(connection, wanted.audience, counted.reached, SAMPLE))


def find_overlap(session: Session, some: Sequence[Sampled], among: int) -> Overlap | None:
    """Who of those has a message of another mailing that is still to be sent, of those that there are for whoever asks.
    None: not in time."""
    connection, is_test = session.connection(), is_of_tests(session)
    found = connection.scalars(_PARTS, {"is_test": is_test}).all()
    if not found:
        return Overlap(estimate(0, 1, 1), ())
    some = some[: max(SAMPLE // 10, SAMPLE // len(found))]
    ids = [one.id for one in some]
    rows = in_time(connection, _LOOKING, lambda: overlap_of(connection, found, ids, is_test=is_test))
    if rows is None:
        return None
    people = next((row.people for row in rows if row.mailing_id is None), 0)
    return Overlap(
        estimate(people, len(some), among),
        [(row.mailing_id, estimate(row.people, len(some), among)) for row in rows if row.mailing_id is not None],
    )


def read_origins(some: Sequence[Sampled], among: int, default: str) -> Origins:
    """default: the time zone of clients whose own is not known."""
    suggested: dict[str, int] = {}
    operators: dict[str, int] = {}
    with_default = ambiguous = 0
    for one in some:
        found = origin(one.phone)
        if found is not None and found.operator is not None:
            operators[found.operator] = operators.get(found.operator, 0) + 1
        if one.timezone != default:
            continue
        with_default += 1
        if found is None or found.zone is None:
            ambiguous += 1
        elif found.zone != default:
            suggested[found.zone] = suggested.get(found.zone, 0) + 1

    def told(counts: Mapping[str, int]) -> list[Any]:
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(name, estimate(number, len(some), among)) for name, number in ordered]

    return Origins(
        default, estimate(with_default, len(some), among), told(suggested), estimate(ambiguous, len(some), among),
        told(operators),
    )  # fmt: skip


# Of mailings that had many messages: what a few take says nothing.
_FASTEST = text(f"""
    select max(sent / greatest(extract(epoch from last - first), 1))::float from (
        select sum(c.sent) as sent, min(c.first_sent_at) as first, max(c.last_sent_at) as last
        from (select id, finished_at from mailings where not {IS_APART} order by id desc limit 500) latest
        join mailing_counters c on c.mailing_id = latest.id
        where latest.finished_at > now() - interval '30 days'
        group by latest.id having sum(c.sent) >= 1000
    ) large
""")

_AHEAD = text(f"""
    select cast(coalesce(sum({total(OPEN_STATES, "c")}), 0) as bigint)
    from mailings m join mailing_counters c on c.mailing_id = m.id
    where m.finished_at is null and m.cancelled_at is null and m.paused_at is null
      and m.ends_at > :starts_at and m.test = :is_test and m.trial_of is null
      and (m.priority < cast(:priority as mailing_priority)
           or m.priority = cast(:priority as mailing_priority) and m.ends_at < :ends_at)
""")

_IS_RUNNING = """
    finished_at is null and cancelled_at is null and paused_at is null and ends_at > now()
    and test = :is_test and trial_of is null
"""

_PARTS = text(f"select distinct part from mailings where {_IS_RUNNING} and part is not null order by part")
