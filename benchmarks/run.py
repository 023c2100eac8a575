"""The service under test: API and dispatchers as processes, and a mailing through them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from benchmarks import usage
from benchmarks.services import Addresses, asking, query
from notification_client import ApiClient
from sandbox import deployment
from sandbox.processes import Processes, free_port
from shared import clock

WARM_UP = {"warm-up": 400}
"""Clients of the mailing that goes out before the clock runs."""

LIMIT = 900.0
TOKEN = "x" * 120
TEXT = "Hello, client! Sale starts tomorrow at 10:00."


class TooSlow(Exception):
    """Something did not happen in time."""


@dataclass(frozen=True)
class Run:
    """One mailing. messages: whose status was written. seconds: from the creation to the last of them. cpu: seconds by
    process, children included. memory: the peak resident set of a dispatcher, in MB. waits: seconds from the creation
    until a message was sent, at p50, p95 and p99. wal: bytes."""

    messages: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    memory: float = 0.0
    waits: tuple[float, ...] = ()
    wal: float = 0.0

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


def costs_of(runs: Sequence[Run]) -> dict[str, float]:
    """Median µs per message, by process."""
    return {name: median(run.cpu[name] / run.messages * 1e6 for run in runs) for name in runs[0].cpu}


class Deployment:
    def __init__(self, addresses: Addresses, client: ApiClient, url: str, api: int, dispatchers: list[int]) -> None:
        """url: of the API. api, dispatchers: the ids of their processes."""
        self.database_url, self.url, self._client = addresses.database_url, url, client
        self.api = [api]
        self._pids = {"api": self.api, "dispatcher": dispatchers}

    def create(
        self, tag: str, *, starts_at: datetime | None = None, lasts: timedelta = timedelta(hours=1), text: str = TEXT
    ) -> int:
        """A mailing to the clients of that tag; empty for everyone. Its id."""
        starts_at = starts_at or clock.now()
        tags = [tag] if tag else []
        return int(self._client.create_mailing(text, starts_at, starts_at + lasts, tags=tags)["id"])

    def wait(self, condition: str, mailing_id: int, limit: float = LIMIT) -> None:
        """Until an SQL condition on the mailing's row holds. Raises TooSlow."""
        self.wait_all(condition, [mailing_id], limit)

    def wait_all(self, condition: str, mailing_ids: Sequence[int], limit: float = LIMIT) -> None:
        """Until it holds for all of these. Raises TooSlow."""
        end, ids = time.monotonic() + limit, list(mailing_ids)
        with asking(self.database_url) as ask:
            while not ask(f"select bool_and({condition}) from mailings g where id = any(%s)", ids)[0][0]:
                if time.monotonic() > end:
                    raise TooSlow(f"After {limit:g} s a mailing was not there yet: {condition}.")
                time.sleep(0.1)

    def send(self, tag: str, services: Mapping[str, int] | None = None, *, text: str = TEXT) -> Run:
        """Creates a mailing and returns when all of it is sent. services: whose CPU is of interest, too."""
        pids = {**self._pids, **{name: [pid] for name, pid in (services or {}).items()}}
        before = {name: usage.cpu(roots) for name, roots in pids.items()}
        [(written,)] = query(self.database_url, "select pg_current_wal_lsn()")
        started = time.time()
        mailing_id = self.create(tag, text=text)
        self.wait("finished_at is not null", mailing_id)
        [(wal,)] = query(self.database_url, "select (pg_current_wal_lsn() - %s::pg_lsn)::float", written)
        cpu = {name: usage.cpu(roots) - before[name] for name, roots in pids.items()}
        [(messages, ended)] = query(self.database_url, _SENT, mailing_id)
        [(waits,)] = query(self.database_url, _WAITS, started, mailing_id)
        return Run(messages, ended - started, cpu, self.memory(), tuple(waits), wal)

    def mailing(self, mailing_id: int) -> Mapping[str, object]:
        """As the API gives it."""
        return self._client.mailing(mailing_id)

    def cancel(self, mailing_id: int) -> None:
        self._client.cancel(mailing_id)

    def memory(self) -> float:
        return usage.peak_memory(self._pids["dispatcher"])


@contextmanager
def deployed(
    processes: Processes,
    addresses: Addresses,
    *,
    dispatchers: int = 1,
    env: Mapping[str, str] | None = None,
    api: str = "api",
    warm_up: bool = True,
) -> Iterator[Deployment]:
    """On a database that has the schema and the clients, those of WARM_UP among them. api: the name of its process."""
    settings = {
        "DATABASE_URL": addresses.database_url,
        "BROKER_URL": addresses.broker_url,
        "PROVIDER_URL": addresses.provider_url,
        "PROVIDER_TOKEN": TOKEN,
        "LOG_LEVEL": "error",
        "API_PORT": str(free_port()),
        **(env or {}),
    }
    names = [f"dispatcher{number}-{api}" for number in range(dispatchers)]
    try:
        url = deployment.start_api(processes, {**settings, "METRICS_PORT": "0"}, api)
        for name in names:
            deployment.start_dispatcher(processes, settings, name)
        with ApiClient(url) as client:
            running = Deployment(addresses, client, url, processes.pid(api), [processes.pid(name) for name in names])
            if warm_up:
                running.send("warm-up")
            query(addresses.database_url, "vacuum analyze")
            query(addresses.database_url, "checkpoint")
            yield running
    finally:
        for name in [api, *names]:
            if processes.running(name):
                processes.kill(name)  # at once: what it did is measured, what it stands on is removed next


_SENT = """
    select count(*), extract(epoch from max(sent_at))::float from messages where mailing_id = %s and status = 'sent'
"""
_WAITS = """
    select percentile_cont(array[0.5, 0.95, 0.99]) within group (order by extract(epoch from sent_at)::float - %s)
    from messages where mailing_id = %s and status = 'sent'
"""
