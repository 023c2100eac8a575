"""Others beside us, where `make bench PEERS=1` has installed them: their interpreters are named by
BENCH_CELERY_PYTHON and BENCH_DRF_PYTHON."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks import ceiling, usage
from benchmarks.run import Run, TooSlow
from benchmarks.services import Addresses, Services, query
from sandbox.processes import free_port

LIMIT = 180.0
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Peer:
    """floor: how many times as fast we have to be. most: messages of a run; the rate does not depend on it."""

    name: str
    task: str
    options: Sequence[str]
    prefetch: int
    floor: float
    most: int

    def run(self, services: Services, count: int) -> Run:
        count = min(count, self.most)
        with services.addresses(None) as addresses, self._worker(addresses) as pid:
            ceiling.prepare(addresses, max(count, ceiling.WARM_UP))
            pids = {name: [service] for name, service in services.pids.items()} | {"dispatcher": [pid]}
            self._send(addresses, ceiling.WARM_UP)
            before = {name: usage.cpu(roots) for name, roots in pids.items()}
            seconds = self._send(addresses, count)
            return Run(count, seconds, {name: usage.cpu(roots) - before[name] for name, roots in pids.items()})

    @contextmanager
    def _worker(self, addresses: Addresses) -> Iterator[int]:
        """Killed at the end: its work is measured, its database is removed next."""
        process = subprocess.Popen(
            [_python(), "-m", "celery", "-A", "benchmarks.celery_tasks", "worker", "--loglevel", "ERROR",
             "--without-gossip", "--without-mingle", "-O", "fair", *self.options],
            env=self._environment(addresses),
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _send(self, addresses: Addresses, count: int) -> float:
        """Seconds from the creation of the mailing to the last of it."""
        command = [_python(), "-m", "benchmarks.celery_tasks", self.task, str(count)]
        environment = self._environment(addresses)
        try:
            done = subprocess.run(command, env=environment, cwd=_ROOT, check=True, capture_output=True, timeout=LIMIT)
        except subprocess.TimeoutExpired as error:
            raise TooSlow(f"{self.name} did not publish {count} messages within {LIMIT:g} s.") from error
        published = json.loads(done.stdout)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            messages, last = query(addresses.database_url, ceiling.SENT, published["mailing_id"])[0]
            if messages == count:
                return float(max(last, published["published"]) - published["started"])
            time.sleep(0.2)
        raise TooSlow(f"{self.name} did not send {count} messages within {LIMIT:g} s.")

    def _environment(self, addresses: Addresses) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": addresses.database_url,
            "BROKER_URL": addresses.broker_url,
            "PROVIDER_URL": addresses.provider_url,
            "PREFETCH": str(self.prefetch),
        }


def _python() -> str:
    return os.environ.get("BENCH_CELERY_PYTHON", "")


def peers() -> Sequence[Peer]:
    """None where it is not installed."""
    return PEERS if _python() else ()


@contextmanager
def django_rest_framework(database_url: str, log: Path) -> Iterator[tuple[str, int]]:
    """Its URL and its process, on a database with our schema: behind gunicorn, with as many workers and threads as ours
    has by default. Raises TooSlow."""
    url = f"http://127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [os.environ["BENCH_DRF_PYTHON"], "-m", "gunicorn", "benchmarks.drf_app:application", "--bind", url[7:],
             "--workers", str(WORKERS), "--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "75"],
            env=os.environ | {"DATABASE_URL": database_url},
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            end = time.monotonic() + 30
            while not _answers(f"{url}/clients/"):
                if process.poll() is not None or time.monotonic() > end:
                    raise TooSlow(f"Django REST framework does not answer: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.1)
            yield url, process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.options(url, timeout=5).status_code < 500
    return False


def has_django_rest_framework() -> bool:
    return bool(os.environ.get("BENCH_DRF_PYTHON"))


WORKERS, THREADS = 2, 8  # the API_WORKERS of a deployment by default, and the threads of each

PEERS = (
    Peer("Celery, a task per message", "send_one", ("-P", "threads", "-c", "16"), 64, 15.0, 2_000),
    Peer("Celery, a task per 100 messages", "send_chunk", ("-c", "2"), 4, 3.5, 1_000_000),
)
