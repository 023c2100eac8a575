"""How many messages of a mailing had come to an end at some moments, from its counters: `shared.domain.course`."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.domain.course import MOST, STEPS, Moment


def note_moments(connection: Connection, after: int, limit: int) -> int | None:
    """Notes where the next `limit` mailings stand that have begun, if they have moved. Returns the last of them, behind
    which the next page begins; None: there is none."""
    row = connection.execute(_NOTE, {"after": after, "limit": limit}).one()
    return row.last if row.number == limit else None


_AGE = "now() - coalesce(first.at, now())"
_LADDER = [(f"{each.total_seconds():.0f} s", f"{(MOST * each).total_seconds():.0f} s") for each in STEPS]
_STEP = " ".join(f"when {_AGE} <= interval '{most}' then interval '{step}'" for step, most in _LADDER[:-1])

# What is noted of a mailing is found by its key: the first and the last.
_NOTE = text(f"""
    with page as materialized (
        select id from mailings where finished_at is null and audience_limit is not null and id > :after
        order by id limit :limit
    ), noted as (
        insert into mailing_moments (mailing_id, at, accepted, failed)
        select page.id, now(), counted.accepted, counted.failed
        from page
        cross join lateral (
            select coalesce(sum(sent), 0)::bigint as accepted, coalesce(sum(failed + unknown), 0)::bigint as failed
            from mailing_counters where mailing_id = page.id
        ) counted
        left join lateral (
            select at from mailing_moments where mailing_id = page.id order by at limit 1
        ) first on true
        left join lateral (
            select at, accepted, failed from mailing_moments where mailing_id = page.id order by at desc limit 1
        ) last on true
        where (counted.accepted, counted.failed) <> (coalesce(last.accepted, 0), coalesce(last.failed, 0))
          and (last.at is null or now() - last.at >= case {_STEP} else interval '{_LADDER[-1][0]}' end)
    )
    select count(*) as number, max(id) as last from page
""")


def read_moments(connection: Connection, mailing_id: int) -> Sequence[Moment]:
    """Those that are noted, in their order."""
    rows = connection.execute(_READ, {"mailing_id": mailing_id})
    return [Moment(row.at, row.accepted, row.failed) for row in rows]


_READ = text("select at, accepted, failed from mailing_moments where mailing_id = :mailing_id order by at")
