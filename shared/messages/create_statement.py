"""The statement that creates the messages of a slice, for all mailings with filters that are written alike."""

from collections.abc import Mapping

from sqlalchemy import TextClause, text

from shared.audience.chosen import Chosen, Span, chosen
from shared.domain.filter import Filter
from shared.domain.segments import Audience

# The end of a span comes from the index alone, in whose order it is read: how many clients are behind a cursor the
# planner does not know, so it expects a third of all. Nor does it know the end, and therefore expects few clients in a
# span and reads them by the index, whatever the statistics say about ids.
SPAN = """
    select max(id) filter (where id <= asked.audience_limit) as last,
           count(*) filter (where id <= asked.audience_limit) as looked_at
    from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
"""

JOB = "job"
SPAN_READ = Span("job.audience_cursor", "job.last")
_COLUMNS = {
    "id": "bigint",
    "part": "integer",
    "audience_cursor": "bigint",
    "audience_limit": "bigint",
    "state": "message_state",
    "zones": "text[]",
    "openings": "timestamptz[]",
    "lane": "smallint",
    "routed": "text[]",
    "routes": "smallint[]",
}


def asked(columns: Mapping[str, str]) -> str:
    """A part of a statement: what `:jobs` say, a JSON array of objects, as rows. columns: their types."""
    typed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    read = ", ".join(f"{name} {'text[]' if kind.endswith('[]') else 'text'}" for name, kind in columns.items())
    return f"asked as materialized (select {typed} from jsonb_to_recordset(cast(:jobs as jsonb)) as asked ({read}))"


# The openings that messages wait for, and how many. Where the window is open for everybody nothing is counted.
_PUT_OFF = """
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
"""


def creating(wanted: Chosen) -> TextClause:
    """For all mailings with such a filter, each with values of its own.

    array_position: of the few zones in which the window is closed, and of the few operators that have providers of
    their own. Where there are none it costs nothing.
    """
    return text(f"""
        with {asked({**_COLUMNS, **wanted.columns})}, job as materialized (
            select asked.*, span.last, span.looked_at from asked cross join lateral ({SPAN}) span
        ), created as (
            insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
            select job.part, job.id, client.id, client.phone,
                coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
                case when suppression_id is null then job.state else 'skipped' end,
                case when job.state = 'pending' and suppression_id is null then
                coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
                case when suppression_id is not null then :reason end
            from job cross join lateral (
                {f"with {', '.join(wanted.parts)}" if wanted.parts else ""}
                select clients.id, phone, operator_code, timezone, suppression_id from clients {wanted.joins}
                where clients.id > job.audience_cursor and clients.id <= job.last and {wanted.condition}
                order by clients.id
            ) client
            returning mailing_id, id, status, due_at
        )
        select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
               coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
        from job left join ({_PUT_OFF}) put_off on put_off.mailing_id = job.id left join (
            select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
                   min(id) as first_id, max(id) as last_id
            from created group by mailing_id
        ) made on made.mailing_id = job.id
    """)


# For those who read statements: what a slice is of a filter that has everything, in a segment, too.
_LISTS = {"operator_codes": ["9"], "tags": ["vip"], "imports": [1], "timezones": ["UTC"], "attributes": {"city": [""]}}
_ALL_LISTS = Filter.of_json({**_LISTS, "segments": [1], "exclude": {**_LISTS, "segments": [1], "mailings": [1]}})
_OF_TAGS = Filter(tags=["vip"])
_CREATE = creating(chosen(Audience(Filter(), {}), (), SPAN_READ, JOB))
_CREATE_OF_TAGS = creating(chosen(Audience(_OF_TAGS, {}), (), SPAN_READ, JOB))
_CREATE_OF_IMPORTS = creating(chosen(Audience(Filter(imports=[1]), {}), (), SPAN_READ, JOB))
_OF_ALL = chosen(Audience(_ALL_LISTS, {1: _OF_TAGS}), (1,), SPAN_READ, JOB)
_CREATE_OF_ALL = creating(_OF_ALL)
