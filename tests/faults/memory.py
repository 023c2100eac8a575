"""The memory of processes over time: it must not grow while they do the same all the time."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

GROWTH, SLACK = 1.10, 4.0
"""Flat: at the end at most so many times as much as before, and so many MB more."""


@dataclass(frozen=True)
class Course:
    """Of one process. seconds: for which it was watched. early, late: MB, in the second and the last quarter."""

    name: str
    seconds: float
    early: float
    late: float

    @property
    def is_flat(self) -> bool:
        return self.late <= self.early * GROWTH + SLACK


class Memory:
    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)

    def look(self, pids: Mapping[str, int]) -> None:
        """pids: of processes by name; their children are looked at as well."""
        for name, pid in pids.items():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                self._add(name, process)
                for child in process.children():
                    self._add(f"{name} worker", child)

    def courses(self, least: float) -> Iterator[Course]:
        """Of the processes that were watched for so many seconds, the longest first."""
        lives = sorted(self._samples.items(), key=lambda item: item[1][0][0] - item[1][-1][0])
        for (name, _), samples in lives:
            seconds = samples[-1][0] - samples[0][0]
            if seconds >= least:
                quarter = len(samples) // 4
                sizes = [size for _, size in samples]
                early, late = statistics.median(sizes[quarter : 2 * quarter]), statistics.median(sizes[-quarter:])
                yield Course(name, seconds, early, late)

    def _add(self, name: str, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            self._samples[name, process.pid].append((time.monotonic(), process.memory_info().rss / 2**20))
