"""A stand-in for `systemctl`, where systemd is not the first process: it reads the same unit files and drop-ins, and
starts and stops what they name, with their environment, directory, output and time-outs.

Not done: rights and limits, which only systemd can give (`systemd-analyze` reads those), and restarts of what has
ended, which would hide that it ended.
"""

import contextlib
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Self

from tests.support.server_process import ServerProcess, User

_CLIENT = """#!{python} -IS
import sys
from multiprocessing.connection import Client
with Client({address!r}, "AF_UNIX") as connection:
    connection.send(sys.argv[1:])
    code, said = connection.recv()
sys.stdout.write(said)
sys.exit(code)
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


class Refused(Exception):
    """systemctl would say so."""


@dataclass(frozen=True, slots=True)
class Ended:
    """code: above 128 where a signal ended it."""

    unit: str
    code: int


class Unit:
    """A unit file with its drop-ins. paths: what stands for what in them."""

    def __init__(self, directory: Path, name: str, paths: Mapping[str, str]) -> None:
        prefix, at, instance = name.partition("@")
        files = (directory / f"{name}.service", directory / f"{prefix}{at}.service")
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise Refused(f"Unit {name}.service not found.")
        self.name = name
        self._settings: dict[str, list[str]] = defaultdict(list)
        for part in (file, *sorted(directory.glob(f"{file.name}.d/*.conf"))):
            text = part.read_text(encoding="utf-8")
            for old, new in paths.items():
                text = text.replace(old, new)
            for line in text.replace("%i", instance).replace("%N", name).splitlines():
                key, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    self._settings[key].append(value)

    def __getitem__(self, key: str) -> str:
        """The last one that was said, or nothing."""
        return next(reversed(self._settings[key]), "")

    def command(self, key: str, pid: int = 0) -> list[str]:
        """One to be run, in the unit's directory and with its environment alone. Empty: there is none."""
        command = shlex.split(self[key].replace("$MAINPID", str(pid)))
        where = self["WorkingDirectory"] or "/"
        return ["env", "-i", "-C", where, f"PATH={_PATH}", *self._environment(), *command] if command else []

    def _environment(self) -> list[str]:
        files = [Path(file).read_text(encoding="utf-8").splitlines() for file in self._settings["EnvironmentFile"]]
        lines = [*self._settings["Environment"], *(line for lines in files for line in lines)]
        return [pair for line in lines for pair in shlex.split(line, comments=True)]


class Systemctl:
    """A context. The program `systemctl` in `programs` acts on the units of a directory until its end, which stops all
    of them. ended: what was stopped, in its order. users: whom units name, where that is another user than ours."""

    def __init__(self, units: Path, programs: Path, paths: Mapping[str, str], users: Mapping[str, User]) -> None:
        self.ended: list[Ended] = []
        self._units, self._paths, self._users = units, paths, users
        self._processes: dict[str, ServerProcess] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="systemctl-")
        address = str(Path(self._directory.name, "socket"))
        self._listener = Listener(address, "AF_UNIX")
        (programs / "systemctl").write_text(_CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
        (programs / "systemctl").chmod(0o755)
        threading.Thread(target=self._listen, name="systemctl", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for name in reversed(list(self._processes)):
                self._stop(name)
        finally:
            for process in self._processes.values():
                process.kill()
            self._listener.close()
            self._directory.cleanup()

    def output(self, name: str) -> str:
        """All that a unit has said that has no file of its own."""
        return Path(self._directory.name, name).read_text(encoding="utf-8", errors="replace")

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # closed
                return
            with contextlib.suppress(EOFError, OSError), connection:
                self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        try:
            self._act(connection.recv())
        except (Refused, OSError, subprocess.SubprocessError, RuntimeError) as error:
            connection.send((1, f"{error}\n"))
        else:
            connection.send((0, ""))

    def _act(self, arguments: Sequence[str]) -> None:
        verb, names = arguments[0], [name for name in arguments[1:] if not name.startswith("-")]
        acts = {
            "start": [self._start],
            "stop": [self._stop],
            "restart": [self._stop, self._start],
            "reload-or-restart": [self._reload_or_start],
            "enable": [self._enable, *([self._start] if "--now" in arguments else [])],
            "is-active": [self._hold_that_it_runs],
            "daemon-reload": [],
        }
        if verb not in acts:
            raise Refused(f"Unknown command verb {verb}.")
        for act in acts[verb]:
            for name in names:
                act(name)

    def _unit(self, name: str) -> Unit:
        return Unit(self._units, name, self._paths)

    def _start(self, name: str) -> None:
        if name in self._processes and self._processes[name].is_running:
            return
        unit = self._unit(name)
        command, user = unit.command("ExecStart"), self._users.get(unit["User"])
        if unit["Type"] == "oneshot":
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise Refused(f"{name} failed: {done.stdout}{done.stderr}")
            return
        output = Path(unit["StandardOutput"].removeprefix("append:") or Path(self._directory.name, name))
        process = self._processes[name] = ServerProcess(command, output, user=user)
        if after := unit.command("ExecStartPost"):
            subprocess.run(after, check=True, capture_output=True, timeout=60)
        if not process.is_running:
            raise Refused(f"{name} ended: {output.read_text(encoding='utf-8', errors='replace')[-2000:]}")

    def _stop(self, name: str) -> None:
        unit, process = self._unit(name), self._processes.pop(name, None)
        if process:
            number = signal.Signals[unit["KillSignal"] or "SIGTERM"]
            self.ended.append(Ended(name, process.stop(number, float(unit["TimeoutStopSec"] or 90))))
            process.kill()

    def _reload_or_start(self, name: str) -> None:
        if name not in self._processes:
            self._start(name)
            return
        command = self._unit(name).command("ExecReload", self._processes[name].pid)
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def _enable(self, name: str) -> None:
        if not self._unit(name)["WantedBy"]:
            raise Refused(f"{name} is not meant to be enabled.")

    def _hold_that_it_runs(self, name: str) -> None:
        if name not in self._processes or not self._processes[name].is_running:
            raise Refused(f"{name} is inactive.")
