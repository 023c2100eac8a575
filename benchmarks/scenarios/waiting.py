"""What mailings cost that wait: an idle leader, and the statistics of all."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

import requests

from benchmarks import usage
from benchmarks.figure import Figure, Report
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.scenarios.reading import PLACES
from benchmarks.services import Services, query

FEW = (100, 16)
ROUNDS = 60
SETTLING, WATCHED = 4.0, 12.0
"""Seconds before an idle dispatcher is watched, and for which it is."""

STEPS = 4.0
"""Steps of an idle leader in a second."""

PATHS = ("/mailings/general_statistics/", "/mailings/")


def measure(services: Services, scale: Scale) -> Report:
    """One database after the other for the leader; all of them in turn for the statistics."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        urls = []
        for mailings, slots in (FEW, *scale.waiting):
            addresses = stack.enter_context(services.addresses({}))
            _write(addresses.database_url, mailings, slots)
            with deployed(services.processes, addresses, api="api-idle", warm_up=False):
                figures += _watch(services, f"{mailings:,} waiting mailings in {slots} slots")
            running = stack.enter_context(
                deployed(services.processes, addresses, dispatchers=0, api=f"api-{mailings}", warm_up=False)
            )
            urls.append(running.url)
        figures += _compare(urls, [f"{mailings:,} mailings" for mailings, _ in (FEW, *scale.waiting)])
    return Report("Mailings that wait", figures)


def _watch(services: Services, name: str) -> Iterator[Figure]:
    """PostgreSQL with an idle dispatcher, everything that it does included."""
    time.sleep(SETTLING)
    before, since = usage.cpu([services.pids["postgres"]]), time.perf_counter()
    time.sleep(WATCHED)
    share = (usage.cpu([services.pids["postgres"]]) - before) / (time.perf_counter() - since)
    yield Figure(f"CPU of PostgreSQL, {name}", share * 100, "%", most=2)
    yield Figure(f"the same for each step of the leader, {name}", share * 1000 / STEPS, "ms", most=5)


def _compare(urls: Sequence[str], names: Sequence[str]) -> Iterator[Figure]:
    with requests.Session() as http:
        http.trust_env = False
        for path in PATHS:
            times: list[list[float]] = [[] for _ in urls]
            for _ in range(ROUNDS):
                for url, taken in zip(urls, times, strict=True):
                    began = time.perf_counter()
                    http.get(url + path, timeout=30).raise_for_status()
                    taken.append(time.perf_counter() - began)
            few, *many = (median(taken) for taken in times)
            yield Figure(f"GET {path}, {names[0]}", few * 1000, "ms")
            for name, value in zip(names[1:], many, strict=True):
                yield Figure(f"GET {path}, {name}", value * 1000, "ms")
                yield Figure(f"GET {path}, {name} / {names[0]}", value / few, "", most=1.5)


def _write(database_url: str, mailings: int, slots: int) -> None:
    """Launched, with a message each that waits for the opening of its window, and a day of traffic in every slot."""
    query(database_url, _MAILINGS, mailings)
    query(database_url, _MESSAGES)
    query(database_url, PLACES)
    query(database_url, _COUNTERS, slots)
    query(database_url, _TOTALS)
    query(database_url, "vacuum analyze")


_MAILINGS = """
    insert into mailings (text, starts_at, ends_at, audience_limit, audience_cursor, audience, launched_at)
    select 'Sale', now() - interval '2 h', now() + interval '10 h', 0, 0, 1, now() - interval '2 h'
    from generate_series(1, %s)
"""
_MESSAGES = """
    insert into messages (part, mailing_id, client_id, status, due_at)
    select 1, id, id, 'pending', date_trunc('hour', now()) + interval '9 h' from mailings
"""
_COUNTERS = """
    insert into mailing_counters (mailing_id, slot, pending, due_at)
    select id, slot, (slot = 0)::int, case slot when 0 then date_trunc('hour', now()) + interval '9 h' end
    from mailings, generate_series(0, %s - 1) slot
"""
_TOTALS = """
    insert into ledger_totals (slot, mailings, audience, pending) select 1, count(*), count(*), count(*) from mailings
"""
