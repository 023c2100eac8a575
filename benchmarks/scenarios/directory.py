"""The directory over HTTP: clients created one by one, and the first and the last page of many."""

import json
import time
from collections.abc import Iterator
from statistics import median

import requests

from benchmarks import calls
from benchmarks.calls import Call
from benchmarks.figure import Figure, Report
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.services import Services

CONNECTIONS = 8
ROUNDS = 30
PAGE_SIZE = 50


def measure(services: Services, scale: Scale) -> Report:
    with (
        services.addresses({"some": scale.clients}, table=True) as addresses,
        deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running,
    ):
        return Report(
            f"Directory: {scale.clients:,} clients",
            [*_create(running.url, scale.posts), *_pages(running.url, scale.clients)],
        )


def _create(url: str, count: int) -> Iterator[Figure]:
    bodies = (json.dumps({"phone": str(70_000_000_000 + number)}).encode() for number in range(1, count + 1))
    made: list[Call] = []
    began = time.monotonic()
    calls.make(
        (Call(f"{url}/clients/", body) for body in bodies),
        lambda call, _: made.append(call),
        token="",
        in_flight=CONNECTIONS,
    )
    seconds = time.monotonic() - began
    assert all(call.status == 201 for call in made), "A client was not created."
    times = sorted(call.seconds for call in made)
    yield Figure(f"POST /clients/, {CONNECTIONS} connections", count / seconds, "1/s")
    yield Figure("POST /clients/, p99", times[len(times) * 99 // 100] * 1000, "ms")


def _pages(url: str, count: int) -> Iterator[Figure]:
    last = -(-count // PAGE_SIZE)
    first_times: list[float] = []
    last_times: list[float] = []
    with requests.Session() as http:
        http.trust_env = False
        for _ in range(ROUNDS):
            for page, times in ((1, first_times), (last, last_times)):
                began = time.perf_counter()
                answer = http.get(f"{url}/clients/", params={"page": page, "page_size": PAGE_SIZE}, timeout=60)
                answer.raise_for_status()
                times.append(time.perf_counter() - began)
    yield Figure("GET /clients/, first page", median(first_times) * 1000, "ms")
    yield Figure("GET /clients/, last page", median(last_times) * 1000, "ms")
    yield Figure("GET /clients/, last / first", median(last_times) / median(first_times), "", most=3)
