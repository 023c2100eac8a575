"""The rows of years: as if hundreds of millions of messages had been sent in some days, a season ago.

They are made by SQL, part by part, each in one transaction: whoever was interrupted goes on with the next part.
"""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.scale import Scale
from benchmarks.services import query
from shared.database.engine import make_engine
from shared.database.parts import make_part, table_of

PARTS = 10
MAILINGS_OF_ONE = 10_000
"""Mailings that one client was in, and of those that are not to many nobody else."""

BYTES = 300
"""Of a message on the disk: the row at half of its page, the indexes, and what they are sorted in."""

_SIDE_BY_SIDE = 2
"""Parts that are filled at a time."""


def missing(database_url: str) -> int:
    """How many parts are still to be made."""
    return PARTS - len(parts(database_url))


def parts(database_url: str) -> list[int]:
    """Those that are there, in the order of their numbers."""
    return [number for (number,) in query(database_url, _PARTS)]


_PARTS = """
    select number from parts where exists (
        select from mailings where part = number and text = 'Kept' and messages_removed_at is null)
    order by number
"""


def fill(database_url: str, scale: Scale, most: int = PARTS) -> None:
    """Makes what is missing of ten parts, but so many at most, and after the last one into which the next mailing is
    launched."""
    query(database_url, "update parts set closed_at = now() where number = 1 and closed_at is null")
    numbers = [_make_part(database_url) for _ in range(min(most, missing(database_url)))]
    # Autovacuum would begin in the middle, and again in the middle of what is measured.
    query(database_url, "alter system set autovacuum = off")
    query(database_url, "select pg_reload_conf()")
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        list(pool.map(lambda number: _fill(database_url, number, scale), numbers))
    query(database_url, "alter system reset autovacuum")
    query(database_url, "select pg_reload_conf()")
    if not missing(database_url):
        query(database_url, "update parts set closed_at = now() where closed_at is null")
        _make_part(database_url, "null")


def _make_part(database_url: str, closed: str = "now() - interval '80 days'") -> int:
    engine = make_engine(database_url, "bench", pool_size=1)
    with engine.begin() as connection:
        number = make_part(connection)
        connection.exec_driver_sql(f"update parts set closed_at = {closed} where number = {number}")
    engine.dispose()
    return number


def _fill(database_url: str, number: int, scale: Scale) -> None:
    messages = table_of("messages", number)
    share = scale.kept_mailings // PARTS
    engine = make_engine(database_url, "bench", pool_size=1, statement_timeout=0)
    with engine.begin() as connection:
        make = connection.exec_driver_sql
        make("set local maintenance_work_mem = '512MB'")
        make(_MAILINGS, (scale.kept // scale.kept_mailings, number, share))
        make(_MAILINGS, (1, number, MAILINGS_OF_ONE // PARTS - share))
        # An index that is sorted once takes a part of the time that it takes row by row.
        make(f"alter table {messages} drop constraint {messages}_pkey,"
             f" drop constraint {messages}_client_id_mailing_id_key")  # fmt: skip
        make(_MESSAGES.format(messages=messages), (number,))
        make(f"alter table {messages} add primary key (id), add unique (client_id, mailing_id)")
        make(_ATTEMPTS.format(messages=messages, attempts=table_of("attempts", number)), (number,))
        for statement in (_PLACES.format(messages=messages), _COUNTERS, _TALLIES, _TOTALS):
            make(statement, (number,))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"vacuum (freeze) {messages}")
    engine.dispose()


_MAILINGS = """
    insert into mailings (text, starts_at, ends_at, audience, audience_limit, launched_at, closed_at, finished_at, part)
    select 'Kept', now() - interval '81 days', now() - interval '80 days', %s, 0, now() - interval '81 days',
           now() - interval '80 days', now() - interval '80 days', %s
    from generate_series(1, %s)
"""
_MESSAGES = """
    insert into {messages} (part, mailing_id, client_id, phone, status, attempts, calls, error, sent_at)
    select g.part, g.id, number, 79000000000 + number,
           case number %% 100 when 99 then 'failed' else 'sent' end::message_state, 1, 1,
           case number %% 100 when 99 then 'rejected' end, case when number %% 100 <> 99 then g.finished_at end
    from (select id, part, audience, finished_at from mailings where part = %s order by id) g
    cross join lateral generate_series(1, audience) number
"""
_ATTEMPTS = """
    insert into {attempts} (message_id, at, part, number, error, words)
    select id, now() - interval '80 days', part, 1, 'rejected', '{{"code": 7, "message": "no such number"}}'
    from {messages} where part = %s and status = 'failed'
"""
_PLACES = """
    update mailings g set first_message_id = m.first, last_message_id = m.last
    from (select mailing_id, min(id) as first, max(id) as last from {messages} group by mailing_id) m
    where g.id = m.mailing_id and g.part = %s
"""
_COUNTERS = """
    insert into mailing_counters (mailing_id, slot, sent, failed, first_sent_at, last_sent_at)
    select id, -1, audience - (audience + 1) / 100, (audience + 1) / 100, finished_at, finished_at
    from mailings where part = %s
"""
_TALLIES = """
    insert into tallies (mailing_id, quarter, slot, name, count)
    select id, date_bin('15 minutes', finished_at, timestamptz '2000-01-01 00:00:00+00'), slot, counted, 1
    from mailings, generate_series(0, 3) slot, unnest(array['sent', 'failed', 'error.rejected']) counted
    where part = %s
"""
_TOTALS = """
    insert into ledger_totals as t (slot, mailings, audience, sent, failed)
    select 1, count(*), sum(audience), sum(sent), sum(failed)
    from mailings g join mailing_counters on mailing_id = g.id where part = %s
    on conflict (slot) do update set mailings = t.mailings + excluded.mailings,
        audience = t.audience + excluded.audience, sent = t.sent + excluded.sent, failed = t.failed + excluded.failed
"""
