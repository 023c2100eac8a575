"""What processes cost: CPU time and memory, as the kernel counts them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil


def cpu(pids: Iterable[int]) -> float:
    """Seconds of user and system time, those of children included, also of children that have ended."""
    return sum(_cpu(process) for pid in pids for process in _family(pid))


def peak_memory(pids: Iterable[int]) -> float:
    """The largest of the peak resident sets, in MB."""
    peaks = []
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return max(peaks)


def memory(pids: Iterable[int]) -> float:
    """The largest of the peak resident sets of these and of their children, in MB."""
    return max(peak_memory([process.pid]) for pid in pids for process in _family(pid))


def listener(url: str) -> int:
    """The process on this machine that listens on the port of a URL. Raises LookupError."""
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return int(connection.pid)
    raise LookupError(f"No process here listens on port {port}.")


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0
