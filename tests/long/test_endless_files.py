"""A gigabyte of nothing that makes sense, sent to an API worker: it costs neither memory, nor time beyond its size, and
is never an error of the server."""

from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import psutil
import pytest
import requests

from notification_client import ApiClient
from sandbox.processes import Processes
from shared import clock
from tests.support.client_files import ENDLESS

GIGABYTE = 2**30
PIECE = 256 * 1024
MAX_SECONDS = 1800.0
"""For a gigabyte, on a machine that does other things: half of what a file may take at all."""
MAX_MEGABYTES = 120.0

pytestmark = pytest.mark.timeout(MAX_SECONDS + 60)

ROWS = {name for name, (_, unit) in ENDLESS.items() if unit.strip(b"\r\n") and len(unit) < 1000 and b"\n" in unit}
"""Each of a few bytes, and most of them refused: of them a few megabytes are enough to tell."""
SOME = 4 * 2**20
SECONDS_A_ROW = 0.0002
OF_FAULTS = {"half pairs"}
"""Each character is one that is none, and is dealt with by itself: a quarter is enough to tell."""


@pytest.fixture
def worker(database_url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of an API, and its only worker."""
    env = {"DATABASE_URL": database_url, "API_PORT": "0", "API_WORKERS": "1", "LOG_FORMAT": "json"}
    with Processes() as processes:
        processes.start("api", "api_service", env | {"API_AUTH": "off", "API_RATE": "0"})
        match = processes.wait_line("api", r'"port": (\d+), "pid": (\d+)')
        url = f"http://127.0.0.1:{match[1]}"
        with ApiClient(url) as client:
            client.wait_until_ready(60)
        [process] = psutil.Process(int(match[2])).children()
        yield url, process


def peak(process: psutil.Process) -> float:
    """In MB."""
    return int(Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.parametrize("name", ENDLESS)
def test_a_gigabyte(name: str, worker: tuple[str, psutil.Process]) -> None:
    url, process = worker
    head, unit = ENDLESS[name]
    piece = unit * (PIECE // len(unit))
    size = SOME if name in ROWS else (GIGABYTE // 4 if name in OF_FAULTS else GIGABYTE) - 2 * PIECE
    began = clock.ticks()
    body = chain([head] if head else [], repeat(piece, size // len(piece)))
    headers = {"Content-Type": "text/csv"}
    answer = requests.post(f"{url}/clients/import/?dry_run=true", data=body, headers=headers, timeout=MAX_SECONDS)
    took = clock.ticks() - began
    assert answer.status_code in (200, 415, 422), answer.text
    assert took < (SECONDS_A_ROW * size / len(unit) if name in ROWS else MAX_SECONDS)
    assert peak(process) < MAX_MEGABYTES
    assert process.is_running()
