"""The directory over HTTP: clients from files, clients one by one, and the first and the last page of many."""

import itertools
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import requests

from api_service.directory import client_lines
from api_service.directory.files.lines import Row
from benchmarks import calls, peers, usage
from benchmarks.calls import Call
from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.services import Services
from notification_client import ApiClient
from sandbox import numbering
from sandbox.numbering import Client

CONNECTIONS = 8
ROUNDS = 30
PAGE_SIZE = 50
OURS, WITH_KEY = "ours", "ours with an Idempotency-Key"
DRF, DRF_WITH_KEY = "Django REST framework", "Django REST framework with an Idempotency-Key"
KEYED = (WITH_KEY, DRF_WITH_KEY)
FLOORS = {(OURS, DRF): 1.4, (WITH_KEY, DRF_WITH_KEY): 1.1, (WITH_KEY, DRF): None}
"""How many times as fast as the peer, who writes no audit without a key; with one it does the same work."""

_phones = itertools.count(70_000_000_001)  # no range of the numbering plan begins here


def measure(services: Services, scale: Scale) -> Report:
    return Report(
        f"Directory: {scale.clients:,} clients",
        [*_import(services, scale), *_create(services, scale), *_pages(services, scale)],
    )


# ---------------------------------------------------------------- from files


def _csv(clients: Iterator[Client]) -> Iterator[str]:
    yield "phone,operator_code,tag,timezone\n"
    for one in clients:
        yield f"{one.phone},{one.operator_code},{one.tag},{one.timezone}\n"


def _ndjson(clients: Iterator[Client]) -> Iterator[str]:
    for one in clients:
        yield f"{json.dumps(one._asdict())}\n"


def _spelled(clients: Iterator[Client]) -> Iterator[str]:
    """As people write it: padded, with phones in four spellings and a column of their own."""
    spellings = itertools.cycle(["8 ({1}) {2}-{3}-{4}", "+7{0}", "8-{1}-{2}-{3}{4}", "7{0}.0"])
    yield "Телефон, Метка ,Часовой пояс,Город\r\n"
    for one in clients:
        digits = str(one.phone)[1:]
        phone = next(spellings).format(digits, digits[:3], digits[3:6], digits[6:8], digits[8:])
        yield f"{phone}, {one.tag} ,{one.timezone} ,Омск\r\n"


def _semicolons(clients: Iterator[Client]) -> Iterator[str]:
    """As an Excel of Russia writes it."""
    tags = dict(zip(numbering.TAGS, ("новый", "обычный", "верный", "важный", "спящий"), strict=True))
    yield "телефон;метка;часовой пояс\r\n"
    for one in clients:
        yield f"{one.phone};{tags[one.tag]};{one.timezone}\r\n"


class Format(NamedTuple):
    content_type: str
    encoding: str
    lines: Callable[[Iterator[Client]], Iterator[str]]
    least: int
    """Clients a second."""


FORMATS: Mapping[str, Format] = {
    "CSV": Format("text/csv", "ascii", _csv, 60_000),
    "CSV as people spell it": Format("text/csv", "utf-8", _spelled, 30_000),
    "CSV with semicolons in Windows-1251": Format("text/csv", "cp1251", _semicolons, 50_000),
    "NDJSON": Format("application/x-ndjson", "ascii", _ndjson, 30_000),
}


def _import(services: Services, scale: Scale) -> Iterator[Figure]:
    """Each file into an empty directory, and once more into the full one."""
    rates: dict[str, list[float]] = {f"{name}, {what}": [] for name in FORMATS for what in ("new", "known")}
    cpu: dict[str, list[float]] = {"API": [], "postgres": []}
    peak = 0.0
    with tempfile.TemporaryDirectory() as directory:
        files = {name: Path(directory) / name for name in FORMATS}
        for name, one in FORMATS.items():
            with files[name].open("w", encoding=one.encoding, newline="") as file:
                file.writelines(one.lines(numbering.clients(scale.clients, seed=1)))
            yield Figure(f"CPU per client to read {name}", _read(files[name], one.content_type, scale), "µs")
        for _ in range(scale.repetitions):
            for name, one in FORMATS.items():
                with (
                    services.addresses({}, table=True) as addresses,
                    deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running,
                    ApiClient(running.url, timeout=900) as client,
                ):
                    pids = {"API": services.processes.pid("api"), "postgres": services.pids["postgres"]}
                    before = {process: usage.cpu([pid]) for process, pid in pids.items()}
                    for what, count in (("new", "created"), ("known", "updated")):
                        began = time.monotonic()
                        with files[name].open("rb") as file:
                            answer = client.import_clients(file, content_type=one.content_type)
                        rates[f"{name}, {what}"].append(scale.clients / (time.monotonic() - began))
                        assert answer[count] == scale.clients, "A client was not imported."
                        if what == "new":
                            for process, pid in pids.items():
                                cpu[process].append((usage.cpu([pid]) - before[process]) / scale.clients * 1e6)
                    peak = max(peak, usage.peak_memory(_workers(pids["API"])))
    for name, some in rates.items():
        yield median_of(f"imported from {name} clients", some, "1/s", least=FORMATS[name.rpartition(",")[0]].least)
    for process, costs in cpu.items():
        yield median_of(f"CPU per new client: {process}", costs, "µs")
    yield Figure("peak memory of an API worker that imports", peak, "MB", most=120)


def _read(path: Path, content_type: str, scale: Scale) -> float:
    """Without HTTP and database."""
    with path.open("rb") as file:
        before = time.process_time()
        taken = sum(
            isinstance(line, Row) for line in client_lines.read(content_type, iter(lambda: file.read(65536), b"")).lines
        )
        assert taken == scale.clients, "A client was not read."
        return (time.process_time() - before) / scale.clients * 1e6


def _workers(api: int) -> list[int]:
    return [process.pid for process in psutil.Process(api).children(recursive=True)]


# ---------------------------------------------------------------- one by one


def _create(services: Services, scale: Scale) -> Iterator[Figure]:
    """In turn with the peer, where that is installed."""
    with ExitStack() as stack:
        addresses = stack.enter_context(services.addresses({}, table=True))
        running = stack.enter_context(deployed(services.processes, addresses, dispatchers=0, warm_up=False))
        urls = {OURS: running.url, WITH_KEY: running.url}
        pids = dict.fromkeys(urls, services.processes.pid("api"))
        if peers.has_django_rest_framework():
            other = stack.enter_context(services.addresses({}, table=True))
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
            url, pid = stack.enter_context(peers.django_rest_framework(other.database_url, log))
            urls |= {DRF: url, DRF_WITH_KEY: url}
            pids |= {DRF: pid, DRF_WITH_KEY: pid}
        for name, url in urls.items():
            _post(url, 200, with_keys=name in KEYED)  # connections, caches
            if name in KEYED:
                _check_once(url)
        made: dict[str, list[Call]] = {name: [] for name in urls}
        rates: dict[str, list[float]] = {name: [] for name in urls}
        costs: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(scale.repetitions):
            for name, url in urls.items():
                began, before = time.monotonic(), usage.cpu([pids[name]])
                made[name] += _post(url, scale.posts, with_keys=name in KEYED)
                rates[name].append(scale.posts / (time.monotonic() - began))
                costs[name].append((usage.cpu([pids[name]]) - before) / scale.posts * 1e6)
    for name in urls:
        times = sorted(call.seconds for call in made[name])
        yield median_of(f"POST /clients/, {CONNECTIONS} connections, {name}", rates[name], "1/s")
        yield Figure(f"POST /clients/, p99, {name}", times[len(times) * 99 // 100] * 1000, "ms")
        yield median_of(f"CPU per POST /clients/, {name}", costs[name], "µs")
    for (name, peer), least in FLOORS.items() if DRF in urls else ():
        yield Figure(f"POST /clients/, {name} / {peer}", median(rates[name]) / median(rates[peer]), "", least=least)


def _post(url: str, count: int, *, with_keys: bool) -> list[Call]:
    made: list[Call] = []
    bodies = (json.dumps({"phone": str(next(_phones)), "timezone": "Europe/Moscow"}).encode() for _ in range(count))
    calls.make(
        (Call(f"{url}/clients/", body, key=uuid.uuid4().hex if with_keys else "") for body in bodies),
        lambda call, _: made.append(call),
        token="",
        in_flight=CONNECTIONS,
    )
    assert all(call.status == 201 for call in made), "A client was not created."
    return made


def _check_once(url: str) -> None:
    """Whoever is measured with a key does what it is for."""
    body = {"phone": str(next(_phones))}
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Idempotency-Key"] = uuid.uuid4().hex
        first, again = (http.post(f"{url}/clients/", json=body, timeout=60) for _ in range(2))
        other = http.post(f"{url}/clients/", json={"phone": str(next(_phones))}, timeout=60)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422), "A key was not honoured."
    assert again.content == first.content, "A key was not honoured."
    assert again.headers["Idempotency-Replayed"] == "true", "A key was not honoured."


# ---------------------------------------------------------------- page by page


def _pages(services: Services, scale: Scale) -> Iterator[Figure]:
    pages = {"first": 1, "middle": scale.clients // PAGE_SIZE // 2, "last": -(-scale.clients // PAGE_SIZE)}
    times: dict[str, list[float]] = {name: [] for name in pages}
    with (
        services.addresses({"some": scale.clients}, table=True) as addresses,
        deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running,
        requests.Session() as http,
    ):
        http.trust_env = False
        for _ in range(ROUNDS):
            for name, page in pages.items():
                began = time.perf_counter()
                answer = http.get(f"{running.url}/clients/", params={"page": page, "page_size": PAGE_SIZE}, timeout=60)
                answer.raise_for_status()
                times[name].append(time.perf_counter() - began)
    for name, some in times.items():
        yield Figure(f"GET /clients/, {name} page", median(some) * 1000, "ms")
    for name in ("middle", "last"):
        yield Figure(f"GET /clients/, {name} / first", median(times[name]) / median(times["first"]), "", most=3)
