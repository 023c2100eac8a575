"""What the statistics cost after a little and after a lot has been sent."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

import requests

from benchmarks.figure import Figure, Report
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query

MAILINGS = 10
ROUNDS = 60
RARE = 5
"""Messages of a large mailing that are in a state which hardly any is in."""


def measure(services: Services, scale: Scale) -> Report:
    """The same endpoints over two databases, in turn."""
    with ExitStack() as stack:
        urls = []
        database_url = ""
        for name, messages in (("api-few", scale.read_few), ("api-many", scale.read_many)):
            addresses = stack.enter_context(services.addresses({}, table=True))
            database_url = addresses.database_url
            write(database_url, messages, MAILINGS)
            running = stack.enter_context(
                deployed(services.processes, addresses, dispatchers=0, api=name, warm_up=False)
            )
            urls.append(running.url)
        return Report(
            f"Statistics: {MAILINGS} mailings, {scale.read_few:,} and {scale.read_many:,} messages",
            [*_compare(urls), *_find_rare(urls[-1], database_url, min(scale.read_many, 1_000_000))],
        )


def _compare(urls: list[str]) -> Iterator[Figure]:
    with requests.Session() as http:
        http.trust_env = False
        for path, most in (
            ("/mailings/general_statistics/", 1.5),
            (f"/mailings/{MAILINGS}/detail_statistics/", 1.5),
            (f"/mailings/{MAILINGS}/detail_statistics/?status=failed", None),
        ):
            times: list[list[float]] = [[], []]
            for _ in range(ROUNDS):
                for url, taken in zip(urls, times, strict=True):
                    began = time.perf_counter()
                    http.get(url + path, timeout=30).raise_for_status()
                    taken.append(time.perf_counter() - began)
            few, many = (median(taken) for taken in times)
            yield Figure(f"GET {path}, few", few * 1000, "ms")
            yield Figure(f"GET {path}, many", many * 1000, "ms")
            yield Figure(f"GET {path}, many / few", many / few, "", most=most)


def _find_rare(url: str, database_url: str, messages: int) -> Iterator[Figure]:
    """A few of a state among many, right after they were written: nothing has looked at the table since."""
    ((mailing_id,),) = query(database_url, f"{_MAILINGS} returning id", messages, 1)
    query(database_url, _RARE_MESSAGES, RARE, RARE, mailing_id)
    query(database_url, PLACES)
    query(database_url, _RARE_COUNTERS, RARE, RARE, RARE, mailing_id)
    with requests.Session() as http:
        http.trust_env = False
        for status, most in (("failed", 15.0), ("retrying", None), ("sent", None)):
            path = f"/mailings/{mailing_id}/detail_statistics/?status={status}"
            times = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                answer = http.get(url + path, timeout=30)
                times.append(time.perf_counter() - began)
                assert len(answer.json()["messages"]) >= RARE, answer.text
            shown = "" if status == "sent" else f"{RARE} of {messages:,} "
            yield Figure(f"GET {shown}?status={status}", median(times) * 1000, "ms", most=most)


def write(database_url: str, messages: int, mailings: int) -> None:
    """As if they had been sent: rows, counters in every slot, tallies."""
    query(database_url, _MAILINGS, messages // mailings, mailings)
    for statement in (_MESSAGES, PLACES, _COUNTERS, _TOTALS, _TALLIES, "vacuum analyze"):
        query(database_url, statement)


_MAILINGS = """
    insert into mailings (text, starts_at, ends_at, audience, launched_at, finished_at)
    select 'Sale', now() - interval '2 h', now() - interval '1 h', %s, now() - interval '2 h', now() - interval '1 h'
    from generate_series(1, %s)
"""
_MESSAGES = """
    insert into messages (part, mailing_id, client_id, status, attempts, error, sent_at)
    select 1, g.id, number, case number % 100 when 0 then 'failed' else 'sent' end::message_state, 1,
           case number % 100 when 0 then 'rejected' end, case when number % 100 > 0 then now() end
    from mailings g, generate_series(1, audience) number order by g.id, number
"""
PLACES = """
    update mailings g set part = m.part, first_message_id = m.first, last_message_id = m.last
    from (select mailing_id, part, min(id) as first, max(id) as last from messages group by mailing_id, part) m
    where g.id = m.mailing_id and g.part is null
"""
"""Where the messages of mailings are, as a launch leaves it."""

_COUNTERS = """
    insert into mailing_counters (mailing_id, slot, sent, failed, first_sent_at, last_sent_at)
    select id, slot, case slot when 0 then audience - audience / 100 else 0 end,
           case slot when 0 then audience / 100 else 0 end, now(), now()
    from mailings, generate_series(0, 15) slot
"""
_TOTALS = """
    insert into ledger_totals (slot, mailings, audience, sent, failed)
    select 1, count(*), sum(audience), sum(audience - audience / 100), sum(audience / 100) from mailings
"""
_TALLIES = """
    insert into tallies (mailing_id, quarter, slot, name, count)
    select id, date_bin('15 minutes', starts_at, timestamptz '2000-01-01 00:00:00+00'), slot, counted, 1
    from mailings, generate_series(0, 15) slot, unnest(array['sent', 'failed', 'error.rejected']) counted
"""
_RARE_MESSAGES = """
    insert into messages (part, mailing_id, client_id, status, attempts, error, due_at, sent_at)
    select 1, id, number, status::message_state, 1, case status when 'failed' then 'rejected' end,
           case status when 'retrying' then now() + interval '1 h' end, case status when 'sent' then now() end
    from mailings cross join generate_series(1, audience) number,
         lateral (select case when number > audience - %s then 'failed'
                              when number > audience - 2 * %s then 'retrying' else 'sent' end as status) s
    where id = %s order by number
"""
_RARE_COUNTERS = """
    insert into mailing_counters (mailing_id, slot, sent, failed, retrying)
    select id, 0, audience - 2 * %s, %s, %s from mailings where id = %s
"""
