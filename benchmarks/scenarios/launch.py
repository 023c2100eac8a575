"""The launch of a large mailing: how fast, how soon the first message goes out, and what the API's users notice."""

import threading
import time
from collections.abc import Iterator

import requests

from benchmarks.figure import Figure, Report, together
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from sandbox import deployment

LAUNCHES = 3
LATENCY = 0.1
WRITE_EVERY = 0.01


def measure(services: Services, scale: Scale) -> Report:
    """Twice: beside a provider that takes as long as real ones do, and beside one that keeps the cores busy."""
    simulator = deployment.start_simulator(services.processes, "--seed", "1", "--latency", f"{LATENCY * 1000:g}")
    try:
        slow = _launches(services, scale, simulator.url, "100 ms per call", asked=True)
    finally:
        services.processes.kill("simulator")
    return Report(
        f"Launch of a mailing of {scale.launch:,}",
        [*slow, *_launches(services, scale, services.provider_url, "answers at once", asked=False)],
    )


def _launches(services: Services, scale: Scale, provider_url: str, provider: str, *, asked: bool) -> list[Figure]:
    """A few, as one: each lasts a second, and a machine can be busy with something else for as long."""
    launches = [list(_launch(services, scale.launch, provider_url, provider, asked=asked)) for _ in range(LAUNCHES)]
    return [together(figures) for figures in zip(*launches, strict=True)]


def _launch(services: Services, count: int, provider_url: str, provider: str, *, asked: bool) -> Iterator[Figure]:
    with (
        services.addresses(WARM_UP | {"bench": count}, provider_url=provider_url) as addresses,
        deployed(services.processes, addresses) as running,
    ):
        before = running.memory()
        with _Writer(f"{running.url}/clients/") as writer:
            started = time.time()
            mailing_id = running.create("bench")
            running.wait("launched_at is not null and exists (select from mailing_counters c where c.mailing_id = g.id"
                         " and c.sent > 0)", mailing_id)  # fmt: skip
        [(launched, first)] = query(addresses.database_url, _MOMENTS, mailing_id)
        writes = sorted(seconds for at, seconds in writer.writes if started <= at <= launched)
        yield Figure(f"messages created per second, {provider}", count / (launched - started), "1/s",
                     least=150_000 if asked else None)  # fmt: skip
        yield Figure("first message sent after", first - started, "s", most=1.0 if asked else None)
        p99 = writes[len(writes) * 99 // 100] * 1000
        yield Figure("POST /clients/ meanwhile, p99", p99, "ms", most=50 if asked else None)
        yield Figure("peak memory of the dispatcher, before", before, "MB")
        yield Figure("peak memory of the dispatcher, after", running.memory(), "MB", most=120)


class _Writer:
    """Creates clients over HTTP, at a steady pace, one at a time. writes: when, and how many seconds each took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.writes: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> "_Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        phone = 70_000_000_000  # no range of the numbering plan begins here
        with requests.Session() as http:
            http.trust_env = False
            while not self._over.is_set():
                phone += 1
                at = time.time()
                http.post(self._url, json={"phone": str(phone)}, timeout=30).raise_for_status()
                seconds = time.time() - at
                self.writes.append((at, seconds))
                self._over.wait(max(0.0, WRITE_EVERY - seconds))


_MOMENTS = """
    select extract(epoch from launched_at)::float,
           (select extract(epoch from min(sent_at))::float from messages where mailing_id = g.id and status = 'sent')
    from mailings g where id = %s
"""
