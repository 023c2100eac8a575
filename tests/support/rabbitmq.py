"""The RabbitMQ of a test run: the one that TEST_BROKER_URL names, or a private one that is started here.

The private one has its own ports, directory, Erlang cookie and epmd, and listens on 127.0.0.1 only. Its processes end
with this one, however this one ends. `python -m tests.support.rabbitmq` runs it until Enter or Ctrl-C.
"""

import itertools
import os
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests

from sandbox import debian
from shared.broker import topology

START_SECONDS = 60.0
TOGETHER_SECONDS = 180.0
"""For nodes that start at the same time."""

DEBIAN_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin switches to another user

# Its standard input is a pipe that the tests hold open: whatever ends them ends the server, and its epmd with it.
_SHEPHERD = """
exec 3<&0
"$1" -port "$2" 3<&- & epmd=$!
"$3" 3<&- & server=$!
(read -r _ <&3; kill -KILL $server) & reader=$!
wait $server
kill -KILL $epmd $reader
wait
"""

# Below the range from which the kernel takes ports for outgoing connections: a stopped server finds its ports again.
_PORTS = range(20_000, 32_000)


class NoRabbitMQ(Exception):
    """Says in one sentence why there is none."""


@contextmanager
def running() -> Iterator["External | Private"]:
    """A RabbitMQ for as long as the block lasts. Raises NoRabbitMQ."""
    if url := os.environ.get("TEST_BROKER_URL"):
        yield External(url)
        return
    with tempfile.TemporaryDirectory(prefix="rabbitmq-") as directory:
        server = _started(server_program(), Path(directory))
        try:
            yield server
        finally:
            server.stop()


class External:
    """A RabbitMQ that somebody else runs; it is neither stopped nor configured.

    Where its management API answers on port 15672 every test gets a virtual host of its own; where it does not, the
    tests share the one that the URL names and find it without queues.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self._vhosts = _VirtualHosts(url, f"http://{parts.hostname}:15672")
        self._manageable = self._vhosts.answers()

    def vhost(self) -> str:
        """The URL of an empty virtual host."""
        if self._manageable:
            return self._vhosts.create()
        _delete_queues(self.url)
        return self.url

    def remove(self, url: str) -> None:
        """The virtual host of that URL, with all that is in it."""
        if self._manageable:
            self._vhosts.delete(url)
        else:
            _delete_queues(url)


@dataclass(frozen=True, slots=True)
class Member:
    """What a node of a cluster has in common with the others.

    name: its own. home: the directory of their cookie. epmd: the port of theirs, which somebody else runs. lines: of
    its configuration.
    """

    name: str
    home: Path
    epmd: int
    lines: str


class Private:
    """A RabbitMQ of our own. What it stored survives `stop` and `start`."""

    def __init__(self, binary: Path, directory: Path, member: Member | None = None) -> None:
        """member: of which cluster it is a node; None: it is alone."""
        self._binary = binary
        self._directory = directory
        self._member = member
        self._process: subprocess.Popen[bytes] | None = None
        self._removable: set[str] = set()
        self._is_starved = False
        self._choose_ports()

    def start(self) -> None:
        """Returns when it serves. Raises NoRabbitMQ when it does not within START_SECONDS. Twice is harmless."""
        if self._process:
            return
        self._run()
        deadline = time.monotonic() + (TOGETHER_SECONDS if self._member else START_SECONDS)
        while not (_listens(self._port) and self._vhosts.answers()):
            assert self._process
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NoRabbitMQ(f"RabbitMQ did not start; the end of its output:\n{self._output()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """All at once, as a power cut would. Twice is harmless."""
        if process := self._process:
            self._process = None
            assert process.stdin
            process.stdin.close()
            process.wait(10)
            self._removable.clear()
            self._is_starved = False

    def wipe(self, *urls: str) -> None:
        """The node has lost all that it had. The virtual hosts of these URLs are there again, empty."""
        self.stop()
        shutil.rmtree(self._directory / "data")
        self.start()
        for url in urls:
            self._vhosts.create(urlsplit(url).path[1:])

    def vhost(self) -> str:
        """The URL of a new, empty virtual host."""
        url = self._vhosts.create()
        self._removable.add(url)
        return url

    def close_connections(self, url: str) -> None:
        """All of a virtual host, as an operator does it."""
        self.control("close_all_connections", "--vhost", urlsplit(url).path[1:], "closed by the operator")

    def remove(self, url: str) -> None:
        """The virtual host of that URL, with all that is in it. One from before a restart stays: it takes seconds."""
        if url in self._removable:
            self._removable.remove(url)
            self._vhosts.delete(url)

    def queues(self, url: str) -> dict[str, dict[str, Any]]:
        """The queues of a virtual host by name, as the management API describes them."""
        return self._vhosts.queues(url)

    def connections(self, url: str) -> list[dict[str, Any]]:
        """The connections to a virtual host, as the management API describes them."""
        return self._vhosts.connections(url)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def starve(self) -> None:
        """It is short of memory, and blocks who publishes, until `reset`."""
        self._is_starved = True
        self.control("set_vm_memory_high_watermark", "0.000001")

    def reset(self) -> None:
        """After a fault: it runs, takes jobs, and has lost nothing."""
        self.start()
        if self._is_starved:
            self.control("set_vm_memory_high_watermark", "0.4")
            self._is_starved = False

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds its connections and says nothing, as on a machine that swaps or a disk that hangs."""
        pid = int((self._directory / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            self._await_stop(pid)
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _await_stop(self, pid: int) -> None:
        """A thread that is at work stops a moment later than the signal is sent: long enough for an answer."""
        deadline = time.monotonic() + START_SECONDS
        while any(_state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
            assert time.monotonic() < deadline, "It was not stopped."
            time.sleep(0.001)

    def control(self, *arguments: str) -> str:
        """What rabbitmqctl printed. Takes two seconds; `await_startup` as long as it waits."""
        command = [str(self._binary.with_name("rabbitmqctl")), "-q", *arguments]
        environment = os.environ | self._environment
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=180).stdout

    def write_control(self, path: Path) -> None:
        """A program `rabbitmqctl` that sees to this node, whoever calls it."""
        variables = " ".join(shlex.quote(f"{name}={value}") for name, value in self._environment.items())
        program = shlex.quote(str(self._binary.with_name("rabbitmqctl")))
        path.write_text(f'#!/bin/sh\nexec env {variables} {program} "$@"\n', encoding="utf-8")
        path.chmod(0o755)

    def _choose_ports(self) -> None:
        self._port, management, distribution, own_epmd = free_ports(4)
        alone = Member("tests", self._directory, own_epmd, "")
        name, home, epmd, lines = astuple(self._member or alone)
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"
        self._vhosts = _VirtualHosts(self.url, f"http://127.0.0.1:{management}")
        schedulers = "+S 1:1" if self._member else ""  # several nodes share this machine
        directory = self._directory
        (directory / "rabbitmq.conf").write_text(
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\nraft.wal_max_size_bytes = 33554432\n"
            + lines
        )
        (directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        self._environment = {
            "HOME": str(home),  # the Erlang cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_NODENAME": f"{name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{schedulers} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "detached": "1",  # the script becomes the server, so that it can be ended by its id
        }

    def _run(self) -> None:
        # Without it on the path, the server starts one itself.
        epmd = "true" if self._member else shutil.which("epmd") or "true"
        command = ["sh", "-c", _SHEPHERD, "rabbitmq", epmd, self._environment["ERL_EPMD_PORT"], str(self._binary)]
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | self._environment,
                start_new_session=True,  # Ctrl-C reaches the tests, which then stop it
            )

    def _output(self) -> str:
        return (self._directory / "output").read_text(errors="replace")


class _VirtualHosts:
    """Made and removed over the management API."""

    _numbers = itertools.count(1)

    def __init__(self, url: str, management: str) -> None:
        self._url = urlsplit(url)
        self._management = management
        self._http = requests.Session()
        self._user = unquote(self._url.username or "guest")
        self._http.auth = (self._user, unquote(self._url.password or "guest"))
        self._http.trust_env = False

    def answers(self) -> bool:
        """Whether there is a management API, and it lets us make virtual hosts."""
        try:
            answer = self._http.get(f"{self._management}/api/whoami", timeout=2)
            return answer.ok and "administrator" in answer.json()["tags"]
        except requests.RequestException:
            return False

    def create(self, name: str | None = None) -> str:
        name = name or f"test-{os.getpid()}-{next(self._numbers)}-{secrets.token_hex(3)}"
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._call("PUT", f"vhosts/{name}", {})
        self._call("PUT", f"permissions/{name}/{quote(self._user, safe='')}", everything)
        return urlunsplit(self._url._replace(path=f"/{name}"))

    def delete(self, url: str) -> None:
        self._call("DELETE", f"vhosts{urlsplit(url).path}")

    def queues(self, url: str) -> dict[str, dict[str, Any]]:
        return {queue["name"]: queue for queue in self._call("GET", f"queues{urlsplit(url).path}").json()}

    def connections(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", f"vhosts{urlsplit(url).path}/connections").json()
        return found

    def _call(self, method: str, path: str, body: object = None) -> requests.Response:
        answer = self._http.request(method, f"{self._management}/api/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer


def server_program() -> Path:
    """Installed where it is missing. Raises NoRabbitMQ."""
    return _binary() or _install()


def _started(binary: Path, directory: Path) -> Private:
    """A second try has other ports, should somebody have taken one of the first."""
    with suppress(NoRabbitMQ):
        server = Private(binary, directory)
        server.start()
        return server
    server = Private(binary, directory)
    server.start()
    return server


def _binary() -> Path | None:
    on_path = shutil.which("rabbitmq-server")
    return next((path for path in (DEBIAN_SERVER, Path(on_path or "/nonexistent")) if path.exists()), None)


def _install() -> Path:
    """Debian's package, without starting its service. Raises NoRabbitMQ."""
    try:
        debian.install("rabbitmq-server")
    except debian.NotInstalled as error:
        raise NoRabbitMQ(f"There is no RabbitMQ; one that runs can be named in TEST_BROKER_URL. {error}") from error
    return DEBIAN_SERVER


def _delete_queues(url: str) -> None:
    """Those of the product with any retry ladder; nobody but the management API can list them."""
    import pika  # noqa: PLC0415 - not needed by most

    rungs = [timedelta(**{unit: number}) for unit in ("seconds", "minutes", "hours") for number in range(1, 61)]
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for queue in topology.queues(rungs):
            channel.queue_delete(queue.name)


def free_ports(count: int) -> list[int]:
    free: list[int] = []
    while len(free) < count:
        port = random.choice(_PORTS)
        if port not in free and not _listens(port):
            free.append(port)
    return free


def _state(task: Path) -> str:
    """One letter, as `proc(5)` has them."""
    return (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    with running() as server, suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        input()
