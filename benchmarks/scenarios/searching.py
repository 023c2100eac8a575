"""One client among many, and a walk through all of them: what is asked of the database, and pages over HTTP."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import requests

from benchmarks.figure import Figure, Report
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, asking, query

ROUNDS = 100
PAGE_SIZE = 50
FEW = 100_000
"""One client in so many has a tag that is looked for."""


def measure(services: Services, scale: Scale) -> Report:
    with services.addresses({}, table=True) as addresses:
        query(addresses.database_url, _CLIENTS, FEW, scale.searched)
        query(addresses.database_url, "vacuum analyze clients")
        with deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running:
            figures = [*_in_the_database(addresses.database_url, scale), *_over_http(running.url, scale)]
    return Report(f"Searching: {scale.searched:,} clients", figures)


def _in_the_database(database_url: str, scale: Scale) -> Iterator[Figure]:
    """The way to it and back included."""
    with asking(database_url) as ask:
        for column, first in (("id", 1), ("phone", _FIRST_PHONE)):
            values = iter(range(first, first + scale.searched, scale.searched // ROUNDS))
            seconds = _timed(lambda: ask(f"select * from clients where {column} = %s", next(values)))  # noqa: B023
            yield Figure(f"a client by {column}, in the database, p50", seconds * 1000, "ms", most=2.0)


def _over_http(url: str, scale: Scale) -> Iterator[Figure]:
    times = {}
    with requests.Session() as http:
        http.trust_env = False

        def get(query: str) -> Any:
            answer = http.get(f"{url}/clients/?page_size={PAGE_SIZE}&{query}", timeout=60)
            answer.raise_for_status()
            return answer.json()

        last = scale.searched - PAGE_SIZE
        for name, query_string in (("first", "after_id=0"), ("last", f"after_id={last}")):
            assert len(get(query_string)) == PAGE_SIZE
            times[name] = _timed(lambda: get(query_string))  # noqa: B023
            yield Figure(f"GET /clients/?after_id=, {name} page", times[name] * 1000, "ms")
        for name, query_string in (("phone", f"phone={_FIRST_PHONE + last}"), ("rare tag", "tag=rare&after_id=0"),
                                   ("tag of nobody", "tag=nobody&after_id=0")):  # fmt: skip
            yield Figure(f"GET /clients/, by {name}", _timed(lambda: get(query_string)) * 1000, "ms")  # noqa: B023
    yield Figure("GET /clients/?after_id=, last / first", times["last"] / times["first"], "", most=1.5)


def _timed(do: Callable[[], object]) -> float:
    """The median, in seconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return median(times)


_FIRST_PHONE = 79_000_000_000

_CLIENTS = f"""
    insert into clients (phone, operator_code, tag, timezone)
    select {_FIRST_PHONE} + n, (900 + n %% 100)::text,
        case when n %% %s = 7 then 'rare' else 'often' end, 'Europe/Moscow'
    from generate_series(0, %s - 1) n
"""
