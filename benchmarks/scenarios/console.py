"""The console after a lot has been sent: each page, what looks for news, and what two hundred readers cost."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

import requests

from benchmarks import people, usage
from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.scenarios import reading
from benchmarks.services import Services, query

ROUNDS = 60
OF_ONE = 1_000
"""Messages of each mailing."""

READERS = 200
PAUSE = 2.0
"""Seconds between two looks of one reader: the shortest pause of console.js."""

WORKERS = 2
"""Processes of the API, as by default."""

COMPRESSED = {"Accept-Encoding": "gzip"}

PAGES = {
    "Now": "/",
    "Mailings": "/mailings/",
    "Mailings, a later page": "/mailings/?after_id={half}",
    "a mailing": "/mailings/{mailing}/",
    "its failed messages": "/mailings/{mailing}/?status=failed",
    "a message": "/messages/{message}/",
    "a client by phone": "/clients/?phone=79000000000",
    "a client's history": "/clients/1/",
    "a new mailing": "/mailings/new/",
    "Imports": "/imports/",
    "Audit": "/audit/",
}
TYPED = {
    "a text": ("/mailings/text/", {"text": "“Sale”\u00a0today: " + "only for {{ city }}, " * 20}),
    "a tag": ("/mailings/new/people/", {"tags": "vip"}),
    "an attribute": ("/mailings/new/people/", {"attribute_names": "city", "attribute_values": "City 3"}),
    "nothing, which is everybody": ("/mailings/new/people/", {}),
}
"""What a new mailing is asked while it is written."""

DIRECTORY = 1_000_000
"""Clients among whom is counted meanwhile."""

LOOKS = {"Now": "/now/", "a mailing": "/mailings/{running}/live/"}
"""The parts of pages that look for news by themselves."""


def measure(services: Services, scale: Scale) -> Report:
    mailings = scale.read_many // OF_ONE
    figures = [*_pages(services, scale, mailings), *_typing(services, scale), *_beside_a_mailing(services, scale)]
    return Report(f"Console: {mailings:,} mailings, {scale.read_many:,} messages", figures)


def _pages(services: Services, scale: Scale, mailings: int) -> Iterator[Figure]:
    with services.addresses({}, table=True) as addresses:
        people.fill(addresses.database_url, OF_ONE, OF_ONE)
        reading.write(addresses.database_url, scale.read_many, mailings)
        with deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running:
            [(message,)] = query(addresses.database_url, "select max(id) from messages")
            names = {"half": mailings // 2, "mailing": mailings, "message": message, "running": running.create("")}
            with _reader() as http:
                for name, path in PAGES.items():
                    seconds, _ = _timed(http, f"{running.url}/console{path.format(**names)}")
                    yield Figure(f"{name}, p95", _p95(seconds) * 1000, "ms", most=50.0)
                for name, path in LOOKS.items():
                    before = usage.cpu(running.api)
                    seconds, size = _timed(http, f"{running.url}/console{path.format(**names)}", {"HX-Request": "true"})
                    cost = (usage.cpu(running.api) - before) / ROUNDS
                    yield Figure(f"a look at {name}, p95", _p95(seconds) * 1000, "ms", most=10.0)
                    yield Figure(f"a look at {name}, compressed", size / 1000, "kB", most=5.0)
                    share = cost * READERS / PAUSE / WORKERS
                    yield Figure(f"{READERS} readers of {name}, of the API's capacity", share * 100, "%", most=10.0)
                yield Figure("first load, compressed", _first_load(http, running.url) / 1000, "kB", most=150.0)


def _typing(services: Services, scale: Scale) -> Iterator[Figure]:
    with services.addresses({}, table=True) as addresses:
        people.fill(addresses.database_url, min(DIRECTORY, scale.searched), OF_ONE)
        with deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running, _reader() as http:
            page = http.get(f"{running.url}/console/mailings/new/", timeout=60)
            token = re.search(r'name="form_token" value="(\w*)"', page.text)
            assert token, "The page has no form."
            for name, (path, fields) in TYPED.items():
                body, times = {"form_token": token[1]} | fields, []
                for _ in range(ROUNDS):
                    began = time.perf_counter()
                    http.post(f"{running.url}/console{path}", data=body, timeout=60).raise_for_status()
                    times.append(time.perf_counter() - began)
                yield Figure(f"typing {name}, p95", _p95(times) * 1000, "ms", most=150.0)


def _beside_a_mailing(services: Services, scale: Scale) -> Iterator[Figure]:
    """In turn: with readers of its page, and without."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    groups = WARM_UP | {"bench": scale.throughput}
    with services.addresses(groups) as addresses, deployed(services.processes, addresses) as running:
        for _ in range(scale.repetitions):
            for is_read, some in rates.items():
                with _reading(running) if is_read else nullcontext():
                    some.append(running.send("bench").rate)
    yield median_of("messages/s, nobody reads", rates[False], "1/s")
    yield median_of(f"messages/s, beside {READERS} readers of Now", rates[True], "1/s")
    yield Figure("with readers / without", median(rates[True]) / median(rates[False]), "", least=0.9)


@contextmanager
def _reading(running: Deployment) -> Iterator[None]:
    """As many looks a second as the readers make, from one connection."""
    is_over = threading.Event()

    def look() -> None:
        with _reader() as http:
            due = time.monotonic()
            while not is_over.wait(max(0.0, due - time.monotonic())):
                http.get(f"{running.url}/console/now/", headers={"HX-Request": "true"}, timeout=30).raise_for_status()
                due += PAUSE / READERS

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()


@contextmanager
def _reader() -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.trust_env = False
        http.headers.update(COMPRESSED)
        yield http


def _timed(http: requests.Session, url: str, headers: dict[str, str] | None = None) -> tuple[list[float], int]:
    """Seconds of each round, and the bytes of the last answer as they came."""
    times, size = [], 0
    _size_of(http, url, headers)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        size = _size_of(http, url, headers)
        times.append(time.perf_counter() - began)
    return times, size


def _size_of(http: requests.Session, url: str, headers: dict[str, str] | None = None) -> int:
    with http.get(url, headers=headers, timeout=60, stream=True) as answer:
        answer.raise_for_status()
        return len(answer.raw.read(decode_content=False))


def _first_load(http: requests.Session, url: str) -> int:
    """Bytes of the first page and of all that it names."""
    page = http.get(f"{url}/console/", timeout=60)
    assets = set(re.findall(r'(?:src|href)="(/console/assets/[^"]+)"', page.text))
    assert assets, "The page names no assets."
    return _size_of(http, f"{url}/console/") + sum(_size_of(http, url + asset) for asset in assets)


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 95 // 100]
