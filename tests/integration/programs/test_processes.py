"""Children start, get ready, stop in order, and never outlive whoever started them. Real processes throughout."""

import os
import pty
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from sandbox.processes import NotReady, Prefixed, Processes, free_port
from tests.support.waiting import wait_until

WAITS = """
    import signal, sys, threading
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", *sys.argv[1:])
    stop.wait()
    print("stopped")
"""
STUBBORN = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    print("ready", grandchild.pid)
    time.sleep(300)
"""

Write = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Makes a module of this source that children can run; its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = iter(f"child_of_a_test_{number}" for number in range(100))

    def write(source: str) -> str:
        name = next(names)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    return write


@pytest.fixture
def shown() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def processes(shown: list[tuple[str, str]]) -> Iterator[Processes]:
    with Processes(lambda name, line: shown.append((name, line))) as processes:
        yield processes


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_line_says_that_a_child_is_ready_and_all_lines_are_shown(
    processes: Processes, module: Write, shown: list[tuple[str, str]]
) -> None:
    processes.start("one", module(WAITS), {}, "at", "9000")
    assert processes.wait_line("one", r"ready at (\d+)")[1] == "9000"
    assert processes.running("one")
    assert processes.stop("one") == 0
    assert not processes.running("one")
    assert shown == [("one", "ready at 9000"), ("one", "stopped")]
    assert processes.output("one") == ["ready at 9000", "stopped"]


def test_a_child_gets_the_settings_it_is_given_and_no_others(
    processes: Processes, module: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", "amqp://of-the-shell")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    source = "import os; print('env', *map(os.environ.get, ['BROKER_URL', 'SOMETHING_ELSE', 'API_PORT']))"
    processes.start("one", module(source), {"API_PORT": "1"})
    assert processes.wait_line("one", "env (.*)")[1] == "None kept 1"


def test_a_child_runs_the_projects_modules_from_any_directory(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    processes.start("topology", "shared.broker.topology")
    assert processes.wait("topology", 20) == 0
    assert "mailing.launch" in "\n".join(processes.output("topology"))


def test_an_http_server_is_ready_when_it_answers(processes: Processes) -> None:
    port = free_port()
    processes.start("web", "http.server", {}, "--bind", "127.0.0.1", str(port))
    processes.wait_http("web", f"http://127.0.0.1:{port}/")
    with pytest.raises(NotReady, match="did not answer 200"):
        processes.wait_http("web", f"http://127.0.0.1:{port}/missing", timeout=0.2)


def test_a_child_that_ends_before_it_is_ready_is_reported_at_once(processes: Processes, module: Write) -> None:
    processes.start("one", module("raise SystemExit('PROVIDER_URL must be a URL.')"))
    report = r"one ended with exit code 1 before it was ready(.|\n)*PROVIDER_URL must be"
    started = monotonic()
    with pytest.raises(NotReady, match=report):
        processes.wait_line("one", "ready")
    with pytest.raises(NotReady, match=report):
        processes.wait_http("one", f"http://127.0.0.1:{free_port()}/")
    assert monotonic() - started < 10


def test_a_child_that_does_not_get_ready_is_reported_after_the_time_out(processes: Processes, module: Write) -> None:
    processes.start("one", module(WAITS))
    processes.wait_line("one", "ready")
    with pytest.raises(NotReady, match=r"one printed no line with 'never'(.|\n)*ready"):
        processes.wait_line("one", "never", timeout=0.1)


def test_only_a_child_that_ends_unasked_counts_as_a_death(processes: Processes, module: Write) -> None:
    waits = module(WAITS)
    for name in ("stopped", "killed", "crashed", "running"):
        processes.start(name, waits)
        processes.wait_line(name, "ready")
    processes.stop("stopped")
    processes.kill("killed")
    assert processes.deaths() == {}
    os.kill(processes.pid("crashed"), signal.SIGKILL)
    wait_until(lambda: bool(processes.deaths()))
    assert list(processes.deaths()) == ["crashed"]
    assert "SIGKILL" in processes.deaths()["crashed"]
    processes.start("crashed", waits)
    assert processes.deaths() == {}


def test_a_name_is_taken_while_its_child_runs(processes: Processes, module: Write) -> None:
    processes.start("one", module(WAITS))
    with pytest.raises(ValueError, match="one is running"):
        processes.start("one", module(WAITS))


def test_a_stubborn_child_is_killed_with_what_it_has_started(processes: Processes, module: Write) -> None:
    processes.start("one", module(STUBBORN))
    grandchild = int(processes.wait_line("one", r"ready (\d+)")[1])
    assert processes.stop("one", timeout=0.3) == -signal.SIGKILL
    wait_until(lambda: _gone(grandchild))


def test_a_child_that_is_held_can_be_stopped(processes: Processes, module: Write) -> None:
    processes.start("one", module(WAITS))
    processes.wait_line("one", "ready")
    processes.send("one", signal.SIGSTOP)
    assert processes.stop("one", timeout=10) == 0


def test_closing_stops_the_last_started_first(module: Write, shown: list[tuple[str, str]]) -> None:
    with Processes(lambda name, line: shown.append((name, line))) as processes:
        for name in ("a", "b", "c"):
            processes.start(name, module(WAITS))
            processes.wait_line(name, "ready")
    assert [name for name, line in shown if line == "stopped"] == ["c", "b", "a"]


PARENT = """
    import sys, time
    from sandbox.processes import Processes, interruptible
    with interruptible(), Processes(lambda name, line: print(name, line, flush=True)) as processes:
        for name, module in zip("ab", sys.argv[1:]):
            processes.start(name, module)
            processes.wait_line(name, "ready")
            print("pid", processes.pid(name), flush=True)
        print("all up", flush=True)
        time.sleep(300)
"""


@pytest.fixture
def parent(module: Write) -> Iterator[Callable[..., tuple["subprocess.Popen[str]", list[int]]]]:
    """Starts a process that runs two children of this source; it and the children's pids."""
    started: list[subprocess.Popen[str]] = []
    children: list[int] = []

    def start(source: str) -> tuple["subprocess.Popen[str]", list[int]]:
        name, root = module(source), Path(__file__).parents[3]
        env = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{os.environ['PYTHONPATH']}"}
        command = [sys.executable, "-m", module(PARENT), name, name]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        assert process.stdout
        for line in process.stdout:
            if line.startswith("pid "):
                children.append(int(line.split()[1]))
            if line == "all up\n":
                return process, children
        raise AssertionError("the parent ended")

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in children:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


Parent = Callable[[str], tuple["subprocess.Popen[str]", list[int]]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_parent_stops_its_children_in_order(parent: Parent, number: signal.Signals) -> None:
    process, children = parent(WAITS)
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert [line for line in output.splitlines() if line.endswith("stopped")] == ["b stopped", "a stopped"]
    assert all(_gone(pid) for pid in children)


def test_a_second_interrupt_kills_at_once(parent: Parent) -> None:
    process, children = parent(STUBBORN)
    process.send_signal(signal.SIGINT)
    sleep(0.5)  # the first one has been heard; that nothing ends by it is what is shown
    assert process.poll() is None
    assert not any(_gone(pid) for pid in children)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    wait_until(lambda: all(_gone(pid) for pid in children))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_children_of_a_killed_parent_end(parent: Parent) -> None:
    process, children = parent(WAITS)
    process.kill()
    wait_until(lambda: all(_gone(pid) for pid in children))


def test_a_free_port_is_one_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        other = free_port(taken)
        assert other != taken
        assert free_port(other) == other
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 10
    assert all(1024 < port < 32_768 for port in ports)


def test_lines_carry_their_process_and_colour_only_on_a_terminal() -> None:
    plain = StringIO()
    Prefixed(plain)("api", "hello")
    assert plain.getvalue() == "api        │ hello\n"
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        show = Prefixed(terminal)
        show("api", "hello")
        show("reporter", "hello")
        output = b""
        while output.count(b"\n") < 2:  # a terminal hands over what it has, a line or a part of one
            output += os.read(ours, 1000)
    lines = output.decode().splitlines()
    os.close(ours)
    assert all(line.startswith("\033[") and line.endswith("\033[0m hello") for line in lines)
    assert lines[0][:5] != lines[1][:5]


def test_output_nobody_can_be_shown_does_not_block_a_child(module: Write) -> None:
    def closed(name: str, line: str) -> None:
        raise BrokenPipeError

    with Processes(closed) as processes:
        processes.start("one", module("for number in range(20_000): print('a line of some length', number)"))
        assert processes.wait("one", 20) == 0
        assert processes.output("one")[-1] == "a line of some length 19999"
