"""`make demo`: a mailing goes out to a provider with every fault; at the end the ledger, and what the provider knows.

Everything is its own: an embedded PostgreSQL in a new directory that is removed at the end, jobs in a table, free ports
(unless API_PORT is set), the provider simulator. In a terminal the API stays up until Ctrl-C, beside one for test keys.
Exits 0 when the ledger balances and every message is accounted for, 1 when not, 2 when a setting makes no sense, 130
when interrupted before.
"""

import json
import os
import re
import sys
import textwrap
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

import psycopg2

from notification_client import ApiClient, ApiError
from sandbox import deployment, directory, numbering
from sandbox.processes import NotReady, Processes, free_port, interruptible, named_settings
from sandbox.progress import Progress, number
from sandbox.reckoning import Provider, Service, problems
from sandbox.scratch import scratch
from sandbox.simulator.control import Simulator, SimulatorError, Summary
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared import clock, settings
from shared.domain.errors import SettingsError
from shared.domain.message import OPEN_STATES, MessageState

CLIENTS = 5_000
MOST_CLIENTS = 1_000_000
OUTAGE = 3.0  # seconds
REFUSED = 100  # messages whose id is a multiple of it are refused for good
DISPATCHER = {"PROVIDER_TIMEOUT": "3", "RETRY_LADDER": "1s,2s,5s", "RETRY_ATTEMPTS": "10"}

_TRIED = "try"
_MAKE_KEY = ("keys", "create", "--name", "demo", "--scope", "test")
_TEXT = "The doors open at noon. Show this message at the entrance."
_LOOK_EVERY = 0.25
_GRACE = 60.0  # seconds after the mailing's end in which all its messages must be closed


class Failed(Exception):
    """Says why the demo cannot go on."""


def main() -> int:
    try:
        clients = _clients(os.environ.get("DEMO_CLIENTS", "").strip())
        named = {name: value for name, value in named_settings().items() if name in ("API_PORT", "DATA_DIR")}
        parent, port = settings.load(named).data_dir.resolve() / "demo", _api_port(named)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with interruptible(), scratch(parent) as home:
            return _run(home, clients, port)
    except KeyboardInterrupt:
        print("\nInterrupted; everything is cleaned up.", file=sys.stderr)
        return 130


def _clients(text: str) -> int:
    if not text:
        return CLIENTS
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_CLIENTS:
        raise SettingsError(f"DEMO_CLIENTS must be a whole number from 1 to {MOST_CLIENTS} (it is {text!r}).")
    return int(text)


def _api_port(named: Mapping[str, str]) -> int:
    wanted = settings.load(named).api_port if named.get("API_PORT", "").strip() else 0
    port = free_port(wanted)
    if wanted not in (0, port):
        raise SettingsError(f"API_PORT: something listens on port {wanted} already.")
    return port


def _run(home: Path, clients: int, port: int) -> int:
    """The exit code. Of a demo that failed the log is kept."""
    progress, log = Progress(sys.stdout), home / "log"
    found: list[str] = []
    try:
        with log.open("w", encoding="utf-8", buffering=1) as file, Processes(_Log(file, progress)) as processes:
            demo = _Demo(processes, progress, home, clients, port)
            found = demo.run()
            if sys.stdout.isatty():
                demo.stay()
    except (Failed, NotReady, ApiError, SimulatorError, psycopg2.Error) as error:
        found = [str(error).strip()]
    progress.end()
    if not found:
        return 0
    kept = log.replace(home.parent / "failed.log")
    print(*found, f"What the processes said: {kept}", sep="\n", file=sys.stderr)
    return 1


@dataclass(frozen=True, slots=True)
class _Demo:
    processes: Processes
    progress: Progress
    home: Path
    clients: int
    port: int
    env: dict[str, str] = field(default_factory=dict)
    """Of the processes, when they are started."""

    def run(self) -> list[str]:
        """What is wrong in the end, one sentence each."""
        say = self.progress.note
        say("Starting an embedded PostgreSQL, a provider simulator, the API and a dispatcher.")
        database, simulator, url = self._start()
        directory.fill(database, numbering.clients(self.clients))
        say(f"Clients from the real numbering plan: {number(self.clients)}, written straight into the table for speed.")
        simulator.set_faults(_faults(self.clients))
        say("The provider has every fault there is, will go away for a while, and refuses every hundredth message.")
        with ApiClient(url) as api:
            now, length = clock.now(), max(600.0, self.clients / 100)
            mailing_id = api.create_mailing(_TEXT, now, now + timedelta(seconds=length))["id"]
            say(f"A mailing to all of them, over the HTTP API: {url}/mailings/{mailing_id}/")
            self._follow(api, simulator, mailing_id, length + _GRACE)
            detail = api.detail(mailing_id)
        counts = {state: detail[state] for state in MessageState}
        service = Service(detail["audience"], counts, directory.messages(database, mailing_id))
        record = simulator.summary()
        _show_ledger(self.progress, service)
        _show_record(self.progress, record)
        provider = Provider(
            simulator.accepted().keys(), record.doubled, record.resent, record.overlapping, refuses=_refuses
        )
        found = problems(self.clients, service, provider)
        say("" if found else "\nThe ledger balances, and every message is accounted for.")
        return found

    def stay(self) -> None:
        """Until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            here = f"http://127.0.0.1:{self.port}"
            self.progress.note(f"It stays up until Ctrl-C. The console: {here}/console/, the API: {here}/docs/")
            url, key = self._open_to_tests()
            self.progress.note(
                f"One that asks for keys: {url}/docs/ with {key}\n  makes mailings that reach nobody;"
                f' the clients with the tag "{_TRIED}" have phones that do what their last digits say (README.md).'
            )
            while not self.processes.deaths():
                sleep(_LOOK_EVERY)
            self._check()

    def _open_to_tests(self) -> tuple[str, str]:
        """The URL of a second API, which asks for keys, and a key of the scope `test`."""
        phones = [f"7000000{digits:04}" for digits in range(7)]  # which are nobody's
        directory.fill(self.env["DATABASE_URL"], [numbering.Client(phone, "000", "UTC", _TRIED) for phone in phones])
        self.processes.start("keys", "api_service", self.env, *_MAKE_KEY)
        key = self.processes.wait_line("keys", r"^nsk_\S+$")[0]
        self.processes.wait("keys", timeout=30)  # its end is none that the demo has to tell of
        with_keys = {"API_PORT": str(free_port()), "API_AUTH": "on"}
        return deployment.start_api(self.processes, {**self.env, **with_keys}, name="api-with-keys"), key

    def _start(self) -> tuple[str, Simulator, str]:
        """The database's URL, the provider, the API's URL."""
        database = deployment.start_postgres(self.processes, self.home)
        simulator = deployment.start_simulator(self.processes)
        env = self.env
        env |= {
            "DATABASE_URL": database,
            "DATA_DIR": str(self.home),
            "PROVIDER_URL": simulator.url,
            "API_PORT": str(self.port),
            "LOG_FORMAT": "json",
            **DISPATCHER,
        }
        deployment.migrate(self.processes, env)
        url = deployment.start_api(self.processes, env)
        deployment.start_dispatcher(self.processes, env)
        return database, simulator, url

    def _follow(self, api: ApiClient, simulator: Simulator, mailing_id: int, limit: float) -> None:
        """Shows how it goes until all messages are final; when a fifth is sent, the provider goes away for a while.

        limit: seconds that this may take.
        """
        since, outage_lies_ahead = monotonic(), True
        while True:
            self._check()
            mailing, passed = api.mailing(mailing_id), monotonic() - since
            counts = {state: mailing["statistics"][state] for state in MessageState}
            waiting = any(counts[state] for state in OPEN_STATES)
            self.progress.show(passed, counts)
            if mailing["state"] == "finished" and not waiting:
                self.progress.end()
                return
            if passed > limit:
                raise Failed(f"The mailing is not finished after {passed:.0f} s.")
            if outage_lies_ahead and waiting and 5 * counts[MessageState.SENT] >= self.clients:
                outage_lies_ahead = False
                self.progress.note(f"  The provider goes away for {OUTAGE:g} s.")
                simulator.outage(Mode.REFUSE, OUTAGE)
            sleep(_LOOK_EVERY)

    def _check(self) -> None:
        if deaths := self.processes.deaths():
            raise Failed("\n".join(deaths.values()))


def _faults(clients: int) -> Faults:
    """Every kind. So rare that no message uses up its attempts; what concerns all
    messages, a refused token or a redirect, just a few times whatever the size."""
    return Faults(
        rates={
            Fault.SERVER_ERROR: 0.03,
            Fault.RATE_LIMITED: 0.01,
            Fault.NOT_JSON: 0.005,
            Fault.WRONG_CODE: 0.01,
            Fault.TRUNCATED: 0.005,
            Fault.ENDLESS: 0.001,
            Fault.RESET: 0.01,
            Fault.HANG: 0.002,
            Fault.ACCEPT_RESET: 0.01,
            Fault.ACCEPT_HANG: 0.002,
            Fault.OTHER_ID: 0.005,
            Fault.CONTRADICTION: 0.002,
            Fault.NO_CODE: 0.002,
            Fault.CREATED: 0.002,
            Fault.UNAUTHORIZED: min(0.001, 2 / clients),
            Fault.REDIRECT: min(0.001, 2 / clients),
        },
        latency_ms=50,
        jitter_ms=50,
        max_faults_per_id=5,
        refuse_ids_modulo=REFUSED,
    )


def _refuses(message_id: int) -> bool:
    return message_id % REFUSED == 0


def _show_ledger(progress: Progress, service: Service) -> None:
    notes = {
        MessageState.FAILED: "refused by the provider for good",
        MessageState.UNKNOWN: "the last answer was lost: the provider may have accepted them",
    }
    rows = [("audience", service.audience, "")]
    rows += [(state, service.counts[state], notes.get(state, "")) for state in MessageState]
    rows += [("Σ states", sum(service.counts.values()), "balanced" if service.balanced else "NOT BALANCED")]
    progress.note(f"\nThe ledger\n{_table(rows)}")


def _show_record(progress: Progress, record: Summary) -> None:
    rows = [
        ("accepted", record.accepted, ""),
        ("twice", record.doubled, "the first answer was lost, so it was tried again under the same id"),
        ("again", record.resent, "came again although the answer had arrived"),
        ("requests", record.requests, "of which had a fault:"),
    ]
    faults = ", ".join(f"{name} {number(count)}" for name, count in sorted(record.faults.items()) if name != Fault.NONE)
    indent = " " * 25
    wrapped = textwrap.fill(faults or "none", 110, initial_indent=indent, subsequent_indent=indent)
    progress.note(f"\nThe provider's own record\n{_table(rows)}\n{wrapped}")


def _table(rows: list[tuple[str, int, str]]) -> str:
    return "\n".join(f"  {name:<9} {number(value):>10}   {note}".rstrip() for name, value, note in rows)


class _Log:
    """Writes what the processes say into a file; warnings and worse are shown as well."""

    def __init__(self, file: TextIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        with self._lock:
            self._file.write(f"{name} {line}\n")
        if problem := _problem(name, line):
            self._progress.note(f"  {name}: {problem}")


def _problem(name: str, line: str) -> str:
    """What of a line is worth showing, or "". The services write JSON; what is none they did not expect to write."""
    try:
        event = json.loads(line)
    except ValueError:
        return line if name in ("api", "dispatcher") else ""
    if not isinstance(event, dict) or event.get("level") not in ("warning", "error", "critical"):
        return ""
    hidden = ("event", "level", "timestamp", "service", "exception")
    return " ".join([str(event.get("event")), *(f"{key}={event[key]}" for key in event if key not in hidden)])


if __name__ == "__main__":
    sys.exit(main())
