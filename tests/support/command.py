"""A command of the sandbox as a person runs it: `python -m sandbox.demo`, in a terminal or not."""

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import psutil

from sandbox.processes import SETTINGS

ROOT = Path(__file__).parents[2]


class Command:
    """It runs, and `output` is what it has printed. terminal: it believes that a person watches."""

    def __init__(self, module: str, data_dir: Path, settings: dict[str, str], *, terminal: bool = False) -> None:
        self.output = ""
        self._data_dir = data_dir
        ours, theirs = pty.openpty() if terminal else os.pipe()
        env = {name: value for name, value in os.environ.items() if name not in SETTINGS | {"DEMO_CLIENTS"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=env | {"DATA_DIR": str(data_dir)} | settings,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, timeout: float = 90) -> re.Match[str]:
        """The first match in what it has printed or prints."""
        deadline = monotonic() + timeout
        while not (match := re.search(pattern, self.output)):
            assert self.process.poll() is None, self.output
            assert monotonic() < deadline, self.output
            sleep(0.05)
        return match

    def exit_code(self, timeout: float = 90) -> int:
        """Waits for its end."""
        code = self.process.wait(timeout)
        self._reader.join(10)
        return code

    def descendants(self) -> list[psutil.Process]:
        """Its processes, and the servers that run in its directory."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self._data_dir) in part for part in process.info["cmdline"] or ()):
                found.append(process)
        return found

    def _read(self, descriptor: int) -> None:
        try:
            while chunk := os.read(descriptor, 65536):
                self.output += chunk.decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            pass  # a terminal says so when its last process is gone
        os.close(descriptor)
