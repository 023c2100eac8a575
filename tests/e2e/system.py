"""The whole service as it is deployed, for one test or a few: every part a process of its own on free ports.

`System` starts and stops the parts, waits for what the test wants to see, and holds the two accounts against each
other: what the API says became of every message, and what the provider received.
"""

import itertools
import json
import re
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from notification_client import ApiClient, ApiError, Json
from sandbox import deployment, directory, numbering
from sandbox.processes import Processes, free_port
from sandbox.simulator.control import Received, Simulator, SimulatorError
from shared import clock
from shared.domain.message import OPEN_STATES, MessageState
from tests.support.waiting import HANGING, patience
from tests.support.wall_clock import WallClock

T = TypeVar("T")

OPEN = {"API_AUTH": "off", "API_RATE": "0"}
"""An API that listens on this machine alone, and whose keys have tests of their own."""

KEYS = {"SUPPRESSION_KEYS": f"1:{'t' * 32}"}

QUICK = {"PROVIDER_TIMEOUT": "2", "RETRY_LADDER": "1s,2s", "RETRY_ATTEMPTS": "30", "LOG_FORMAT": "json"}
"""Settings under which nothing takes long. The attempts are so many that none of the faults uses them up."""

LOOK_EVERY = 0.1
_MOST_CLIENTS = 100_000
_TOLD_LINES = 40


@dataclass(frozen=True)
class Place:
    """Where a system keeps things. database_url: of an empty database. broker_url: None for the table broker.
    is_migrated: the database has the schema already."""

    database_url: str
    broker_url: str | None
    directory: Path
    is_migrated: bool = False


class System:
    """A context: at its end everything is stopped, and must have ended well.

    api, simulator: clients of the two servers that a test talks to. settings: of the processes, beyond QUICK.
    """

    api: ApiClient
    simulator: Simulator

    def __init__(
        self,
        place: Place,
        settings: Mapping[str, str] | None = None,
        *options: str,
        module: str = "dispatcher_service",
        clock: WallClock | None = None,
    ) -> None:
        """options: of the simulator's command line. module: what the dispatchers run. clock: what all processes believe
        the time to be."""
        self.database_url = place.database_url
        self._is_migrated = place.is_migrated
        self._log = _Log(place.directory / "log")
        self._options = options
        self._module = module
        self._clock = clock
        self.processes = clock.processes(self._log) if clock else Processes(self._log)
        self._metrics_ports: dict[str, int] = {}
        self._clients = numbering.clients(_MOST_CLIENTS)
        self.env = {
            **QUICK,
            **OPEN,
            **KEYS,
            "DATABASE_URL": place.database_url,
            "API_PORT": str(free_port()),
            **(settings or {}),
        }
        self.env["TMPDIR"] = str(place.directory)  # what is killed leaves something behind
        if place.broker_url:
            self.env["BROKER_URL"] = place.broker_url

    def start(self, dispatchers: int = 2) -> None:
        """The provider, the migrations if there is no schema, then the API and dispatchers `dispatcher-1`, `-2` … at
        once."""
        self.simulator = deployment.start_simulator(self.processes, *self._options)
        self.env.setdefault("PROVIDER_URL", self.simulator.url)  # a test may have put something between
        if not self._is_migrated:
            deployment.migrate(self.processes, self.env)
        names = [f"dispatcher-{number + 1}" for number in range(dispatchers)]
        for name in names:
            self.begin_dispatcher(name)
        self.start_api()
        for name in names:
            self._until_started(name)

    def start_api(self) -> None:
        self.api = ApiClient(deployment.start_api(self.processes, self.env))

    def begin_api(self) -> None:
        """Starts it again, on the same port, and does not wait until it is ready."""
        self.processes.start("api", "api_service", self.env)

    def start_dispatcher(self, name: str, **settings: str) -> None:
        """Returns when it is ready. settings: of this one alone."""
        self.begin_dispatcher(name, **settings)
        self._until_started(name)

    def begin_dispatcher(self, name: str, **settings: str) -> None:
        """Starts one and does not wait until it is ready."""
        self._metrics_ports[name] = port = free_port()
        self.processes.start(name, self._module, {**self.env, **settings, "METRICS_PORT": str(port)})

    def _until_started(self, name: str) -> None:
        """It shows its metrics from the start on."""
        self.processes.wait_http(name, f"http://{self.metrics_address(name)}/metrics")

    def expect(self, *words: str) -> None:
        """From now on complaints in which one of them occurs are what the test wants to see."""
        self._log.expected += words

    @property
    def dispatchers(self) -> list[str]:
        return [name for name in self._metrics_ports if self.processes.running(name)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:  # one that is still starting ends as if nobody had taught it what a signal means
                for name in self.dispatchers:
                    self._until_started(name)
            running = [name for name in ("api", *self._metrics_ports) if self.processes.running(name)]
            for name in running:  # all at once: some take a while
                self.processes.send(name, signal.SIGINT if name == "api" else signal.SIGTERM)
            codes = {name: self.processes.wait(name, patience(25)) for name in running}
        finally:
            for client in ("api", "simulator"):
                if hasattr(self, client):
                    getattr(self, client).close()
            self.processes.close(timeout=5)
            self._log.close()
        assert codes == dict.fromkeys(running, 0), f"a process did not end well: {codes}"
        assert not self._log.complaints, "\n".join(self._log.complaints)

    # ---------------------------------------------------------------- what users do

    def fill(self, count: int, **values: str) -> list[numbering.Client]:
        """New clients of the real numbering plan, written straight into the directory. values: instead of their own."""
        clients = [client._replace(**values) for client in itertools.islice(self._clients, count)]
        directory.fill(self.database_url, clients)
        return clients

    def mail(
        self,
        *,
        starts: float = 0,
        lasts: float = 600,
        api: ApiClient | None = None,
        text: str = "The doors open at noon.",
        **more: Any,
    ) -> int:
        """A new mailing that starts so many seconds from now; its id. api: another than the system's own. more: as in
        `ApiClient.create_mailing`."""
        starts_at = (self._clock or clock).now() + timedelta(seconds=starts)
        mailing = (api or self.api).create_mailing(text, starts_at, starts_at + _seconds(lasts), **more)
        return int(mailing["id"])

    # ---------------------------------------------------------------- what they see

    def figures(self, mailing_id: int) -> Json:
        """The statistics of a mailing, in which the ledger must balance."""
        figures = self.api.detail(mailing_id, page_size=1)
        _assert_balanced(figures)
        return figures

    def messages(self, mailing_id: int, **filters: Any) -> dict[int, Json]:
        """The messages of a mailing by id, as the pages of the API show them."""
        return {message["id"]: message for message in self.api.messages(mailing_id, **filters)}

    def received(self, mailing_id: int) -> dict[int, Received]:
        """What the provider received of a mailing, by message."""
        mine = self.messages(mailing_id)
        return {message_id: one for message_id, one in self.simulator.received().items() if message_id in mine}

    def metrics_address(self, process: str) -> str:
        """HOST:PORT at which that dispatcher shows its metrics."""
        return f"127.0.0.1:{self._metrics_ports[process]}"

    def metric(self, process: str, name: str, **labels: str) -> float:
        """The sum over the samples with that name and those labels."""
        answer = requests.get(f"http://{self.metrics_address(process)}/metrics", timeout=30)
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    # ---------------------------------------------------------------- waiting

    def until(self, condition: Callable[[], T], what: str, within: float = HANGING, seen: object = "") -> T:
        """The first truth that the condition gives. No process may end meanwhile. seen: told where it never comes."""
        deadline = clock.ticks() + within
        while not (found := condition()):
            if deaths := self.processes.deaths():
                pytest.fail("\n".join(deaths.values()))
            if clock.ticks() > deadline:
                pytest.fail(f"Not within {within:g} s: {what}. {seen}")
            time.sleep(LOOK_EVERY)
        return found

    def remains(self, condition: Callable[[], object], what: str, seconds: float = 1.0) -> None:
        """Holds that the condition stays true for a while."""
        end = clock.ticks() + seconds
        while clock.ticks() < end:
            if not condition():
                pytest.fail(f"Not for {seconds:g} s: {what}.")
            time.sleep(LOOK_EVERY)

    def until_figures(
        self, mailing_id: int, condition: Callable[[Json], object], what: str, within: float = HANGING
    ) -> Json:
        """The first statistics that fulfil the condition; in all that are seen on the way the ledger must balance."""
        seen: Json = {}

        def look() -> bool:
            seen.clear()
            seen.update(self.figures(mailing_id))
            return bool(condition(seen))

        self.until(look, f"mailing {mailing_id}: {what}", within, seen)
        return seen

    def until_sent(self, mailing_id: int, count: int, within: float = HANGING) -> Json:
        """The first statistics that show so many messages as sent, or more."""
        return self.until_figures(mailing_id, lambda figures: figures["sent"] >= count, f"{count} sent", within)

    def until_over(self, mailing_id: int, within: float = HANGING) -> dict[int, Json]:
        """Waits until every message has its final state; the messages, after the two accounts were compared."""
        figures = self.until_figures(mailing_id, is_over, "every message in a final state", within)
        _assert_balanced(self.api.statistics())
        messages = self.messages(mailing_id)
        assert len(messages) == figures["audience"]
        by_state = Counter(message["status"] for message in messages.values())
        assert by_state == Counter({state: figures[state] for state in MessageState if figures[state]})
        self._compare(messages)
        return messages

    def _compare(self, messages: Mapping[int, Json]) -> None:
        """What the service says became of the messages against what the provider accepted."""
        accepted = self.simulator.accepted().keys() & messages.keys()
        assert not with_status(messages, MessageState.SENT) - accepted, "lost"
        told = with_status(messages, MessageState.SENT, MessageState.UNKNOWN)
        assert not accepted - told, "accepted, and the service says that it was not sent"
        summary = self.simulator.summary()
        assert summary.overlapping == 0, "two requests for one message at a time"
        assert summary.broken == {}, "requests that break the provider's contract"

    # ---------------------------------------------------------------- when a test fails

    def story(self) -> str:
        """The last statistics, and the end of what the processes said."""
        return "\n".join([*self._last_figures(), "", f"All of it: {self._log.path}. The end:", *self._log.tail()])

    def _last_figures(self) -> Iterator[str]:
        with suppress(ApiError, AttributeError):
            for mailing in self.api.statistics()["mailings"]:
                yield " ".join(f"{name}={value}" for name, value in mailing.items() if value)
        with suppress(SimulatorError, AttributeError):
            yield str(self.simulator.summary())


def with_status(messages: Mapping[int, Json], *states: MessageState) -> set[int]:
    """The ids of those that are in one of the states."""
    return {message_id for message_id, message in messages.items() if message["status"] in states}


def is_over(figures: Json) -> bool:
    return figures["state"] in ("finished", "cancelled") and not any(figures[state] for state in OPEN_STATES)


def clients_of(messages: Mapping[int, Json], ids: Iterable[int]) -> set[int]:
    return {messages[message_id]["client_id"] for message_id in ids}


def _assert_balanced(figures: Json) -> None:
    assert figures["audience"] == sum(figures[state] for state in MessageState), figures


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class _Log:
    """Keeps what the processes say in a file. complaints: what none of them may say, whatever happens around it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        self.expected: list[str] = []
        self._tail: deque[str] = deque(maxlen=_TOLD_LINES)
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        with self._lock:
            self._file.write(f"{name} {line}\n")
            expected = any(words in line for words in self.expected)
            if (_is_complaint(line) and not expected) or _gives_away(line):
                self.complaints.append(f"{name} {line}")
            if '"event": "request"' not in line:
                self._tail.append(f"{name} {line}")

    def tail(self) -> list[str]:
        with self._lock:
            return list(self._tail)

    def close(self) -> None:
        self._file.close()


def _gives_away(line: str) -> bool:
    """A whole phone number: whatever goes wrong, the log has none."""
    return re.search(r"(?<![0-9])7[0-9]{10}(?![0-9])", line) is not None


def _is_complaint(line: str) -> bool:
    """A traceback, or an error in the words of the log."""
    try:
        event = json.loads(line)
    except ValueError:
        return "Traceback" in line or "Warning" in line
    return isinstance(event, dict) and (event.get("level") in ("error", "critical") or "exception" in event)
