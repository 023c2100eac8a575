"""The processes of a deployment as children of this one: start, wait until ready, stop in order.

A child runs `python -m MODULE` with this interpreter, in a process group of its own: Ctrl-C reaches this process alone,
which then stops the children one after the other. On Linux no child outlives this process, even when that is killed.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self, TextIO, TypeVar

import requests

from shared.settings import Settings

T = TypeVar("T")

SETTINGS = frozenset(attribute.name.upper() for attribute in fields(Settings))
"""The variables that a child gets only from whoever starts it, never from this process's environment by accident."""

STOP_TIMEOUT = 25.0  # a dispatcher takes up to 20 s to finish what is in flight
READY_TIMEOUT = 60.0  # a machine may have other things to do

_ROOT = Path(__file__).resolve().parent.parent
_POLL = 0.05
_KEPT_LINES = 2000
_COLOURS = (36, 33, 35, 32, 34, 31)

Show = Callable[[str, str], None]
"""Takes each line that a child prints: (name, line). Called from one thread per child."""


class NotReady(Exception):
    """A child did not get ready in time, or ended instead. The message carries its last lines."""


class Processes:
    """The children, by name. Use it from one thread that lives as long as they shall."""

    def __init__(self, show: Show | None = None) -> None:
        self._show = show or _nothing
        self._children: dict[str, _Child] = {}

    def start(self, name: str, module: str, env: Mapping[str, str] | None = None, *arguments: str) -> None:
        """Starts `python -m module arguments…`; a name may be used again when its child has ended.

        env: its settings. It also gets everything in this process's environment that is not a setting.
        """
        if self.running(name):
            raise ValueError(f"{name} is running.")
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-IS", str(_ROOT / "sandbox" / "child.py"), str(os.getpid()), module, *arguments],
            env=_inherited() | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        self._children.pop(name, None)  # so that a child started anew is the last in the order
        self._children[name] = _Child(name, process, self._show)

    def wait_line(self, name: str, pattern: str, timeout: float = READY_TIMEOUT) -> re.Match[str]:
        """The first match of the pattern in a line that the child has printed or prints. Raises NotReady."""
        child = self._children[name]

        def search() -> re.Match[str] | None:
            return next((match for line in child.output() if (match := re.search(pattern, line))), None)

        return self._wait_ready(child, search, timeout, f"printed no line with {pattern!r}")

    def wait_http(self, name: str, url: str, timeout: float = READY_TIMEOUT) -> None:
        """Returns when a GET of the URL is answered with 200. Raises NotReady."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy between us and a child

            def answers() -> bool | None:
                try:
                    return session.get(url, timeout=2, allow_redirects=False).status_code == 200 or None
                except requests.RequestException:
                    return None

            self._wait_ready(self._children[name], answers, timeout, f"did not answer 200 at {url}")

    def wait(self, name: str, timeout: float) -> int:
        """The exit code of a child that ends by itself; negative: the signal that ended it. Raises NotReady."""
        child = self._children[name]
        code = child.wait(timeout)
        if code is None:
            raise NotReady(f"{name} did not end within {timeout:g} s.{child.tail()}")
        child.expected = True
        return code

    def send(self, name: str, number: signal.Signals) -> None:
        """Sends it to the child itself, not to processes that it has started."""
        self._children[name].process.send_signal(number)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, timeout: float = STOP_TIMEOUT) -> int:
        """Sends the signal and returns the exit code; after `timeout` seconds the child is killed, and it is -9."""
        child = self._children[name]
        child.expected = True
        child.process.send_signal(number)
        child.process.send_signal(signal.SIGCONT)  # one that is held by SIGSTOP hears nothing else
        code = child.wait(timeout)
        return self.kill(name) if code is None else code

    def kill(self, name: str) -> int:
        """Kills the child and all that it has started in its group; the exit code."""
        child = self._children[name]
        child.expected = True
        if child.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
        return child.process.wait()

    def running(self, name: str) -> bool:
        return name in self._children and self._children[name].process.poll() is None

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def output(self, name: str) -> list[str]:
        """The last lines that the child has printed, 2000 at the most, without line ends."""
        return self._children[name].output()

    def deaths(self) -> dict[str, str]:
        """The children that ended though nobody asked them to: by name, how they ended, with their last lines."""
        return {
            child.name: f"{child.name} {_ending(code)}.{child.tail()}"
            for child in self._children.values()
            if not child.expected and (code := child.wait(0)) is not None
        }

    def close(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stops all, the last started first, each within `timeout` seconds. Interrupted, it kills what is left."""
        try:
            for name in reversed(list(self._children)):
                if self.running(name):
                    self.stop(name, timeout=timeout)
        finally:
            for name in self._children:
                self.kill(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_ready(self, child: "_Child", look: Callable[[], T | None], timeout: float, complaint: str) -> T:
        deadline = monotonic() + timeout
        while True:
            code = child.wait(0)  # before the look, so that the last lines of one that has ended are looked at
            if (found := look()) is not None:
                return found
            if code is not None:
                raise NotReady(f"{child.name} {_ending(code)} before it was ready.{child.tail()}")
            if monotonic() > deadline:
                raise NotReady(f"{child.name} {complaint} within {timeout:g} s.{child.tail()}")
            sleep(_POLL)


@dataclass
class _Child:
    """`expected`: its end is no surprise."""

    name: str
    process: subprocess.Popen[str]
    show: Show
    expected: bool = False
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, name=f"output of {self.name}", daemon=True)
        self._reader.start()

    def output(self) -> list[str]:
        with self._lock:
            return list(self._lines)

    def tail(self) -> str:
        lines = self.output()[-20:]
        return " Its last lines:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""

    def wait(self, timeout: float) -> int | None:
        """The exit code, with all its output read, or None: it still runs after that many seconds."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(1)  # longer only where a process that it has left behind holds the pipe
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        for line in self.process.stdout:
            with self._lock:
                self._lines.append(line.rstrip("\n"))
            with suppress(OSError, ValueError):  # where to is closed; the child must still not block on a full pipe
                self.show(self.name, line.rstrip("\n"))


class Prefixed:
    """Writes each line with the name of its process before it, coloured on a terminal."""

    def __init__(self, stream: TextIO, width: int = 10) -> None:
        self._stream = stream
        self._width = width
        self._coloured = stream.isatty()
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        with self._lock:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"{name:<{self._width}} │"
            self._stream.write(f"\033[{colour}m{prefix}\033[0m {line}\n" if self._coloured else f"{prefix} {line}\n")
            self._stream.flush()


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP (a closed terminal) raise KeyboardInterrupt, as Ctrl-C does. Main thread only."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def named_settings() -> dict[str, str]:
    """The settings in this process's environment, for children that are to have them."""
    return {name: value for name, value in os.environ.items() if name in SETTINGS}


def free_port(wanted: int = 0) -> int:
    """A TCP port on 127.0.0.1 that nobody listens on: `wanted` where that is one, else any.

    From below the ranges that systems take outgoing connections' ports from, so that none of those takes it before the
    child listens on it.
    """
    choices = random.SystemRandom()
    for port in (wanted, *(choices.randrange(10_240, 32_768) for _ in range(100))):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
            if port:
                return port
    raise OSError("There is no free port.")


def _inherited() -> dict[str, str]:
    """What every child gets: the environment without the settings, and the project on its path from anywhere."""
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS | {"PROMETHEUS_MULTIPROC_DIR"}}
    path = [str(_ROOT), *filter(None, [env.get("PYTHONPATH")])]
    return env | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _nothing(_name: str, _line: str) -> None:
    pass
