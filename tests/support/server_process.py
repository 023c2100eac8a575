"""A server that tests run: it ends with them, however they end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sandbox import debian
from shared.clock import ticks

# Its standard input is a pipe that the tests hold open: whatever ends them ends the server.
_SHEPHERD = """
exec 3<&0
"$@" 3<&- & server=$!
(read -r _ <&3; kill -KILL $server) & reader=$!
wait $server
code=$?
kill -KILL $reader
wait
exit $code
"""


@dataclass(frozen=True, slots=True)
class User:
    """Whom a server runs as, where that is another user than ours."""

    uid: int
    gid: int


class ServerProcess:
    """Starts the command at once. output: the file that has what it says."""

    def __init__(
        self, command: Sequence[str], output: Path, *, user: User | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self._command, self._output = command, output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                ["sh", "-c", _SHEPHERD, "server", *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=os.environ | dict(env or {}),
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
                start_new_session=True,  # Ctrl-C reaches the tests, which then stop it
            )

    def wait_until(self, answers: Callable[[], object], within: float) -> None:
        """Returns when it answers. Raises RuntimeError, with the end of what it said, where it ends or takes longer."""
        deadline = ticks() + within
        while not answers():
            if self._process.poll() is not None or ticks() > deadline:
                said = self._output.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self._command[0]} did not start:\n{said}")
            time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server itself, once it runs."""
        children = psutil.Process(self._process.pid).children()
        return min(children, key=lambda child: (child.create_time(), child.pid)).pid

    def stop(self, number: signal.Signals, within: float) -> int:
        """Sends the server the signal. Its exit code, above 128 where a signal has ended it: the signal to kill after
        so many seconds."""
        if self.is_running:
            os.kill(self.pid, number)
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            return 128 + signal.SIGKILL

    def kill(self) -> None:
        """SIGKILL. Twice is harmless."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def program(name: str, package: str) -> Path:
    """The path of a program of Debian's, whose package is installed where it is missing. Raises NotInstalled."""
    if found := _found(name):
        return found
    debian.install(package)
    if found := _found(name):
        return found
    raise debian.NotInstalled(f"{package} was installed, and {name} is not to be found.")


def _found(name: str) -> Path | None:
    places = (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin")
    return next((path for place in places if (path := Path(place, name)).is_file() and os.access(path, os.X_OK)), None)
