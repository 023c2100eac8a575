"""How fast messages of a mailing come to an end: counted where they are counted, and remembered for a while.

Each slot of a mailing's counters has the messages that calls have ended lately, and the seconds in which they were:
their quotient is the pace. What lies further back counts for less, by half for each MEMORY or so; what is remembered
grows with the mailing's age, so that a slow one is told as exactly as a fast one. A break, in which nothing came though
many were to be expected, says nothing of the pace: it begins anew behind it.
"""

SHORTEST_MEMORY, LONGEST_MEMORY = 5, 300
"""Seconds after which what was counted counts for little more than a third."""

PART_OF_AGE = 8
"""Of the time since the first success, so large a part is remembered."""

BREAK, EXPECTED = 10, 20
"""Seconds without a message, in which so many were to be expected: a pause, a night, an outage."""

LEAST_SPAN = 0.5
"""Seconds that have to be counted before there is a pace at all."""

_SEEN = f"""
    select excluded.pace_count as settled,
           greatest(0, extract(epoch from now() - c.paced_at)::float) as gap,
           greatest({SHORTEST_MEMORY}, least({LONGEST_MEMORY}, extract(epoch from now() - c.first_sent_at)::float
                                             / {PART_OF_AGE})) as memory
"""
_HELD = f"""
    select gap is null or gap > {BREAK} and c.pace_seconds > 0
               and gap * c.pace_count > {EXPECTED} * c.pace_seconds as is_new,
           case when c.pace_seconds > 0 then exp(-least(gap / memory, 50)) else 0 end as kept
"""

COUNT = f"""
    (pace_count, pace_seconds, paced_at) = (
        select case when settled = 0 then c.pace_count when is_new then settled else c.pace_count * kept + settled end,
               case when settled = 0 then c.pace_seconds when is_new then 0 else c.pace_seconds * kept + gap end,
               case when settled = 0 then c.paced_at else now() end
        from ({_SEEN}) seen cross join lateral ({_HELD}) held
    )
"""
"""An assignment of an upsert of counters `c`: `excluded.pace_count` is what came to an end by calls."""


def current(table: str) -> str:
    """An expression of SQL, over slots of a mailing: messages a second, by the slots that have counted lately."""
    return f"coalesce(sum({_rate(table)}) filter (where {_is_counted(table)} and {_is_going_on(table, 'now()')}), 0)"


def latest(table: str, latest_at: str) -> str:
    """The same of the slots that counted last, however long ago that is. latest_at: when that was."""
    return f"coalesce(sum({_rate(table)}) filter (where {_is_counted(table)} and {_is_going_on(table, latest_at)}), 0)"


def _rate(table: str) -> str:
    return f"{table}.pace_count / nullif({table}.pace_seconds, 0)"


def _is_counted(table: str) -> str:
    return f"{table}.pace_seconds >= {LEAST_SPAN}"


def _is_going_on(table: str, moment: str) -> str:
    gap = f"extract(epoch from {moment} - {table}.paced_at)"
    return f"{gap} <= greatest({BREAK}, 5 / nullif({_rate(table)}, 0))"
