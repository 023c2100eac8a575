"""What the figures were taken on."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pycurl

from benchmarks.services import Services


def facts(services: Services) -> Iterator[tuple[str, str]]:
    yield "processor", f"{_processor()}, {os.cpu_count()} cores"
    yield "memory", f"{psutil.virtual_memory().total / 2**30:.0f} GB"
    yield "system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    yield "PostgreSQL", services.postgres_version()
    yield "libcurl", pycurl.version_info()[1]
    yield "load before", ", ".join(f"{load:.2f}" for load in os.getloadavg())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
