"""Lists as files over HTTP: all clients, and all messages of a mailing."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import requests

from benchmarks import usage
from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.scenarios.reading import PLACES
from benchmarks.services import Services, query

FORMATS = ("csv", "ndjson", "json")
LEAST, FIRST_BYTE, MEMORY = 100_000, 1.0, 50


def measure(services: Services, scale: Scale) -> Report:
    with services.addresses({}, table=True) as addresses:
        for statement in (_CLIENTS, _MAILING, _MESSAGES, PLACES, _ATTEMPTS):
            query(addresses.database_url, statement, *([scale.searched] if "%s" in statement else []))
        with deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running:
            figures = [*_exported(running.url, scale)]
    return Report(f"Exporting: {scale.searched:,} clients and as many messages", figures)


def _exported(url: str, scale: Scale) -> Iterator[Figure]:
    pid = usage.listener(url)
    idle = usage.memory([pid])
    most = 0.0
    for name, path in (("clients", "/clients/?"), ("messages", "/messages/?mailing_id=1&")):
        for form in FORMATS:
            taken = [_take(f"{url}{path}format={form}") for _ in range(scale.repetitions)]
            assert all(one.rows == scale.searched + (form == "csv") for one in taken), (name, form, taken)
            most = max(most, usage.memory([pid]))
            rates = [scale.searched / one.seconds for one in taken]
            yield median_of(f"{name} a second as {form}", rates, "1/s", least=LEAST)
            yield Figure(f"the first byte of {name} as {form}", max(one.first for one in taken), "s", most=FIRST_BYTE)
    yield Figure("memory above idle, of the largest process", most - idle, "MB", most=MEMORY)


class _Taken(NamedTuple):
    """first: seconds until the first byte of the body."""

    first: float
    seconds: float
    rows: int


def _take(url: str) -> _Taken:
    first, rows, began = 0.0, 0, time.perf_counter()
    with requests.Session() as http:
        http.trust_env = False
        with http.get(url, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            for piece in answer.iter_content(1 << 20):
                first = first or time.perf_counter() - began
                rows += piece.count(b"\n")
    return _Taken(first, time.perf_counter() - began, rows)


_CLIENTS = """
    insert into clients (phone, operator_code, tag, timezone, attributes)
    select 79000000000 + n, (900 + n %% 100)::text, 'regular', 'Europe/Moscow',
           case when n %% 2 = 0 then jsonb_build_object('city', 'Омск', 'visits', n %% 10) else '{}' end
    from generate_series(0, %s - 1) n
"""
_MAILING = """
    insert into mailings (text, starts_at, ends_at, launched_at, finished_at)
    values ('Sale', now() - interval '2 h', now() - interval '1 h', now() - interval '2 h', now() - interval '1 h')
"""
_MESSAGES = """
    insert into messages (part, mailing_id, client_id, phone, status, attempts, calls, error, sent_at)
    select 1, 1, n, 79000000000 + n, case n %% 50 when 0 then 'failed' else 'sent' end::message_state, 1, 1,
           case n %% 50 when 0 then 'rejected' end, case when n %% 50 > 0 then now() end
    from generate_series(1, %s) n order by n
"""
_ATTEMPTS = """
    insert into attempts (message_id, part, number, at, error, words)
    select id, part, 1, now(), 'rejected', 'unknown subscriber' from messages where status = 'failed'
"""
