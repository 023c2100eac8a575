"""Limits over all dispatchers: each is one row that says when the wire is free next.

A dispatcher reserves a short piece of the wire before it claims messages for it. So nothing that is claimed waits long,
and a pause, a cancel, an end act on all that waits, however many dispatchers there are and however low the rate is.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.profile.provider import Provider

DISPATCH = "dispatch"
"""The limit of DISPATCH_RATE."""


def of_provider(name: str) -> str:
    """The limit of what one provider takes, by its profile."""
    return f"provider:{name}"


def of(provider: Provider, rate: float) -> dict[str, float]:
    """Those that its messages are within, by name. rate: DISPATCH_RATE; 0: none."""
    limits = {DISPATCH: rate, of_provider(provider.name): provider.limits.rate}
    return {name: limit for name, limit in limits.items() if limit}


SOON = timedelta(seconds=0.25)
"""The wire is reserved only where it is free that soon, and for so long at a time, but for one message at least."""


class Reserved(NamedTuple):
    """messages: how many may go out, 0 where the wire is taken. wait: seconds from now until the first of them may; of
    0 messages, until there can be a reservation. gap: seconds from each to the next."""

    messages: int
    wait: float
    gap: float


def reserve(connection: Connection, limits: Mapping[str, float], wanted: int) -> Reserved:
    """Room for at most so many messages within all these limits: messages per second, by name.

    In a transaction of its own, which must be this one statement (`one_statement`): whoever is stopped behind it holds
    no row that the others need. It does not wait for the disk: a database that crashes forgets a part of a second.
    """
    values = {"names": sorted(limits), "rates": [limits[name] for name in sorted(limits)], "soon": SOON}
    row = connection.execute(_RESERVE, values | {"wanted": wanted}).one()
    if row.found < len(limits):
        connection.execute(_MAKE, values)
        row = connection.execute(_RESERVE, values | {"wanted": wanted}).one()
    return Reserved(row.messages, row.wait, row.gap)


# The rows are locked in the order of their names, and what time it is is asked when they are. One that is taken for
# longer than anybody may reserve comes from a clock that was ahead, or from a lower rate: it counts as free.
_RESERVE = text("""
    with limited as materialized (
        select name, next_at, rate
        from limits join unnest(cast(:names as text[]), cast(:rates as float[])) asked (name, rate) using (name)
        where set_config('synchronous_commit', 'off', true) = 'off'
        order by name for update of limits
    ), seen as materialized (
        select name, next_at, rate, clock_timestamp() as now from limited
    ), free as (
        select name, rate, now, greatest(1, floor(rate * extract(epoch from cast(:soon as interval)))) as most,
               case when next_at <= now + 2 * cast(:soon as interval) + make_interval(secs => 1 / rate)
                    then greatest(next_at, now) else now end as at
        from seen
    ), decided as materialized (
        select count(*) as found, max(now) as now, max(at) as at, max(1 / rate) as gap,
               case when max(at) > max(now) + cast(:soon as interval) then 0
                    else least(min(most), cast(:wanted as int)) end as messages
        from free
    ), taken as (
        update limits set next_at = decided.at + make_interval(secs => decided.messages / free.rate)
        from free cross join decided where limits.name = free.name and decided.messages > 0
    )
    select found, cast(coalesce(messages, 0) as int) as messages, gap,
           cast(extract(epoch from at - now - case when messages > 0 then interval '0' else :soon end) as float) as wait
    from decided
""")


def used_up(connection: Connection) -> Collection[str]:
    """The limits that hold dispatchers up now, by name: of each the wire is reserved until now, or longer."""
    return connection.scalars(_USED_UP, {"soon": SOON}).all()


_USED_UP = text("select name from limits where next_at > clock_timestamp() - cast(:soon as interval)")

_MAKE = text("insert into limits (name, next_at) select unnest(cast(:names as text[])), now() on conflict do nothing")
