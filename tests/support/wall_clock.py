"""The wall clock of child processes, set by hand: libfaketime before the C library. How long something lasts, they see
as it is.

    with WallClock() as clock, clock.processes(print) as processes:
        processes.start("dispatcher", "dispatcher_service", env)
        clock.set(datetime(2026, 3, 29, 0, 59, 57, tzinfo=UTC))
"""

import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from sandbox import debian
from sandbox.processes import Processes, Show
from shared import clock

_PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime", "/usr/lib64/faketime")


class WallClock:
    """The test is skipped where the library is not to be had."""

    def __init__(self) -> None:
        library = _library() or _install()
        self._directory = tempfile.TemporaryDirectory(prefix="clock-")
        Path(self._directory.name).chmod(0o755)  # as root the database runs as another user
        self._file = Path(self._directory.name, "offset")
        self._env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self._offset = timedelta()
        self.step(timedelta())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._directory.cleanup()

    def processes(self, show: Show) -> Processes:
        """Whose children see this clock, and so do theirs."""
        return _Processes(self._env, show)

    def now(self) -> datetime:
        """What it shows."""
        return clock.now() + self._offset

    @property
    def offset(self) -> timedelta:
        """How far it is ahead; below 0: behind."""
        return self._offset

    def set(self, moment: datetime) -> None:
        self.step(moment - self.now())

    def step(self, by: timedelta) -> None:
        """Forward, or back."""
        self._offset += by
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._offset.total_seconds():+.3f}\n")
        new.chmod(0o644)
        new.rename(self._file)


class _Processes(Processes):
    def __init__(self, env: Mapping[str, str], show: Show) -> None:
        super().__init__(show)
        self._env = env

    def start(self, name: str, module: str, env: Mapping[str, str] | None = None, *arguments: str) -> None:
        super().start(name, "tests.support.other_clock", {**(env or {}), **self._env}, module, *arguments)


def _library() -> Path | None:
    """The one that is safe with threads."""
    found = (path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1"))
    return next(found, None)


def _install() -> Path:
    try:
        debian.install("faketime")
    except debian.NotInstalled as error:
        pytest.skip(f"There is no libfaketime. {error}")
    library = _library()
    assert library, "Debian's package is there, and the library is not"
    return library
