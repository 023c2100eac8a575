"""The provider simulator over real sockets: its contract, every fault as a client meets it, and what it remembers."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.simulator.control import Simulator, SimulatorError
from sandbox.simulator.faults import DRAWN, Fault, Faults
from sandbox.simulator.outage import Mode
from shared.clock import ticks
from tests.support.waiting import wait_until

StartSimulator = Callable[..., Simulator]

pytest_plugins = ("tests.support.provider",)

PATIENCE = 0.3  # seconds that a client waits for an answer that does not come
DEADLINE = 10.0
OK = {"code": 0, "message": "OK"}


def message(message_id: int) -> dict[str, object]:
    return {"id": message_id, "phone": 79123456789, "text": "Привет"}


def raw(message_id: int, extra: str = "") -> bytes:
    """A request as bytes."""
    body = json.dumps(message(message_id)).encode()
    head = f"POST /v1/send/{message_id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def address(simulator: Simulator) -> tuple[str, int]:
    parts = urlsplit(simulator.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class Client:
    """One connection, kept alive; it follows no redirect and tries nothing again."""

    def __init__(self, simulator: Simulator, timeout: float = DEADLINE) -> None:
        self._connection = http.client.HTTPConnection(*address(simulator), timeout=timeout)

    def send(self, message_id: int, **fields: str) -> http.client.HTTPResponse:
        self._connection.request(
            "POST",
            f"/v1/send/{message_id}",
            json.dumps({**message(message_id), **fields}),
            {"Content-Type": "application/json"},
        )
        return self._connection.getresponse()

    def status(self, message_id: int) -> int:
        with self.send(message_id) as response:
            response.read()
            return response.status

    def give_up(self, message_id: int) -> None:
        """Sends and closes without an answer."""
        with pytest.raises(TimeoutError):
            self.send(message_id)
        self.close()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    with contextlib.ExitStack() as stack:

        def connect(simulator: Simulator, timeout: float = DEADLINE) -> Client:
            client = Client(simulator, timeout)
            stack.callback(client.close)
            return client

        yield connect


Connect = Callable[..., Client]


# The contract


def test_an_accepted_message_is_answered_and_remembered(simulator: Simulator, connect: Connect) -> None:
    before = time.time()
    with connect(simulator).send(7) as response:
        assert response.status == 200
        assert json.loads(response.read()) == OK
    accepted, received = simulator.accepted(), simulator.received()
    assert list(accepted) == list(received) == [7]
    assert accepted[7].count == received[7].count == 1
    assert before <= accepted[7].first_at == accepted[7].last_at <= time.time()
    summary = simulator.summary()
    assert (summary.requests, summary.accepted, summary.doubled, summary.overlapping) == (1, 1, 0, 0)
    assert summary.faults == {"none": 1}
    assert summary.last_accepted_at == accepted[7].last_at


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"url": "/v1/send/8"}, 400),
        ({"url": "/v1/send/007"}, 400),
        ({"url": "/v1/send/"}, 400),
        ({"url": "/v1/moved/7"}, 404),
        ({"method": "GET"}, 405),
        ({"data": "no JSON"}, 400),
        ({"data": b"\xff"}, 400),
        ({"data": "[" * 60_000}, 400),
        ({"data": "[7]"}, 400),
        ({"json": {"id": 7, "phone": 79123456789}}, 400),
        ({"json": {**message(7), "tag": "x"}}, 400),
        ({"json": {**message(7), "id": "7"}}, 400),
        ({"json": {**message(7), "phone": "79123456789"}}, 400),
        ({"json": {**message(7), "phone": 7.5}}, 400),
        ({"json": {**message(7), "phone": True}}, 400),
        ({"json": {**message(7), "phone": -1}}, 400),
        ({"json": {**message(7), "text": None}}, 400),
        ({"headers": {"Content-Type": "text/plain"}}, 400),
        ({"data": b"x" * 200_000}, 413),
        ({"data": iter([b"{}"])}, 411),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused(
    simulator: Simulator, change: dict[str, object], status: int
) -> None:
    url = simulator.url + str(change.pop("url", "/v1/send/7"))
    method = str(change.pop("method", "POST"))
    arguments = {"headers": {"Content-Type": "application/json"}, "timeout": DEADLINE, **change}
    if "data" not in change and "json" not in change:
        arguments["json"] = message(7)
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, **arguments)  # type: ignore[arg-type]
    assert response.status_code == status
    assert response.json()["code"] == status
    assert simulator.summary().broken == {str(status): 1}
    assert simulator.received() == {}


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Authorization: Bearer secret\r\n", 200), ("Authorization: Bearer Secret\r\n", 401), ("", 401)],
)
def test_the_token_is_checked(start_simulator: StartSimulator, authorization: str, status: int) -> None:
    simulator = start_simulator("--token", "secret")
    with socket.create_connection(address(simulator), DEADLINE) as sock:
        sock.sendall(raw(7, authorization))
        assert sock.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())
    assert len(simulator.accepted()) == (status == 200)


def test_another_token_is_asked_for_from_then_on(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--token", "old")
    simulator.set_token("new")
    for number, (token, status) in enumerate({"old": 401, "new": 200}.items(), start=1):
        with socket.create_connection(address(simulator), DEADLINE) as sock:
            sock.sendall(raw(number, f"Authorization: Bearer {token}\r\n"))
            assert sock.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())
    with pytest.raises(SimulatorError, match="a token that is not empty"):
        simulator.set_token("")


def test_a_request_may_come_byte_by_byte(simulator: Simulator) -> None:
    with socket.create_connection(address(simulator), DEADLINE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw(7):
            sock.sendall(bytes([byte]))
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert simulator.summary().requests == 1


def test_many_requests_may_come_at_once_and_are_answered_in_order(simulator: Simulator) -> None:
    simulator.set_faults(Faults(refuse_ids_modulo=3))
    ids = range(1, 5001)
    with (
        ThreadPoolExecutor(1) as pool,
        socket.create_connection(address(simulator), DEADLINE) as sock,
        sock.makefile("rb") as answers,
    ):
        sending = pool.submit(sock.sendall, b"".join(map(raw, ids)))
        statuses = [_read_status(answers) for _ in ids]
        sending.result()
    assert statuses == [400 if message_id % 3 == 0 else 200 for message_id in ids]
    assert simulator.accepted().keys() == {message_id for message_id in ids if message_id % 3}
    assert simulator.received().keys() == set(ids)


def _read_status(answers: BinaryIO) -> int:
    status = int(answers.readline().split()[1])
    answers.read(int(http.client.parse_headers(answers)["Content-Length"]))
    return status


def test_who_is_refused_may_finish_sending_and_read_why(simulator: Simulator) -> None:
    head = b"POST /v1/send/7 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
    with socket.create_connection(address(simulator), DEADLINE) as sock:
        sock.sendall(head)
        assert sock.recv(4096, socket.MSG_PEEK)
        for _ in range(20):
            sock.sendall(b"x" * 10_000)
            time.sleep(0.001)  # for a reset to arrive, were there one
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


# Faults


@pytest.mark.parametrize(
    ("fault", "seen", "accepted"),
    [
        (Fault.HANG, TimeoutError, False),
        (Fault.SERVER_ERROR, 500, False),
        (Fault.RATE_LIMITED, 429, False),
        (Fault.BAD_REQUEST, 400, False),
        (Fault.UNAUTHORIZED, 401, False),
        (Fault.NOT_JSON, json.JSONDecodeError, False),
        (Fault.WRONG_CODE, {"code": 7, "message": "the queue is full"}, False),
        (Fault.TRUNCATED, http.client.IncompleteRead, False),
        (Fault.REDIRECT, 307, False),
        (Fault.RESET, ConnectionResetError, False),
        (Fault.ACCEPT_RESET, ConnectionResetError, True),
        (Fault.ACCEPT_HANG, TimeoutError, True),
        (Fault.OTHER_ID, {**OK, "id": 4}, True),
        (Fault.CONTRADICTION, OK, True),  # to a reader that takes the last one
        (Fault.NO_CODE, {"status": "queued"}, True),
        (Fault.CREATED, 201, True),
    ],
)
def test_a_fault_as_the_client_meets_it(
    simulator: Simulator, connect: Connect, fault: Fault, seen: object, accepted: bool
) -> None:
    simulator.set_faults(Faults({fault: 1.0}))
    client = connect(simulator, PATIENCE)
    if isinstance(seen, type):
        assert issubclass(seen, Exception)
        with pytest.raises(seen) as caught:
            json.loads(client.send(3).read())
        assert caught.type is seen  # a connection that is closed, not reset, is a subclass
    else:
        with client.send(3) as response:
            body = response.read()
            assert seen == (json.loads(body) if response.status == 200 else response.status)
    assert list(simulator.accepted()) == ([3] if accepted else [])
    assert simulator.summary().faults == {fault: 1}


def test_every_fault_has_its_test() -> None:
    marks = test_a_fault_as_the_client_meets_it.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for mark in marks for case in mark.args[1]}
    assert tested == set(DRAWN) - {Fault.ENDLESS}


@pytest.mark.parametrize("status", [200, 204, 302, 400, 402, 404, 500])
def test_one_status_for_everything(simulator: Simulator, connect: Connect, status: int) -> None:
    simulator.set_faults(Faults({Fault.NO_CODE: 1.0}, status=status))
    client = connect(simulator)
    for message_id in (3, 4, 5):
        with client.send(message_id) as response:
            assert response.status == status
            response.read()
    assert not simulator.accepted()
    assert simulator.summary().faults == {Fault.STATUS: 3}


def test_a_text_that_it_cannot_stand(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults(poison="vitamins"))
    client = connect(simulator)
    for message_id, text, status in ((3, "Buy vitamins now", 500), (4, "The doors open", 200), (3, "vitamins", 500)):
        with client.send(message_id, text=text) as response:
            assert response.status == status
            response.read()
    assert list(simulator.accepted()) == [4]
    assert simulator.summary().faults == {Fault.POISON: 2, Fault.NONE: 1}


def test_an_endless_body_goes_on_until_the_client_gives_up(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults({Fault.ENDLESS: 1.0}))
    client = connect(simulator)
    with client.send(1) as response:
        assert json.loads(response.read(28)) == OK
        assert len(response.read(1_000_000)) == 1_000_000
    client.close()
    with connect(simulator).send(2) as response:  # a patient one meets its end
        assert len(response.read()) == 28 + 64 * 2**20
    assert simulator.accepted() == {}


def test_every_kind_of_server_error_comes(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults({Fault.SERVER_ERROR: 1.0}))
    client = connect(simulator)
    assert {client.status(message_id) for message_id in range(1, 5)} == {500, 502, 503, 504}


def test_too_many_requests_says_when_to_come_again(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults({Fault.RATE_LIMITED: 1.0}, retry_after=17))
    assert connect(simulator).send(1).headers["Retry-After"] == "17"


def test_it_takes_so_many_a_second(simulator: Simulator, connect: Connect) -> None:
    """And says so of all others, of which it accepts none."""
    simulator.set_faults(Faults(takes_per_second=50, retry_after=3))
    client, since = connect(simulator), ticks()
    answers = Counter[tuple[int, str | None]]()
    for message_id in range(1, 201):
        answer = client.send(message_id)
        answer.read()
        answers[answer.status, answer.headers["Retry-After"]] += 1
    seconds, taken = ticks() - since, answers[200, None]
    assert answers.keys() == {(200, None), (429, "3")}
    assert 0.2 * 50 <= taken <= 50 * (seconds + 0.2) + 2
    assert simulator.summary().accepted == taken


def test_who_follows_a_redirect_is_found_out(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.REDIRECT: 1.0}))
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(f"{simulator.url}/v1/send/1", json=message(1), timeout=DEADLINE).status_code == 404
    assert simulator.summary().broken == {"404": 1}


def test_a_connection_outlives_faults_that_are_answered(simulator: Simulator, connect: Connect) -> None:
    client = connect(simulator)
    client.status(1)
    port = client._connection.sock.getsockname()[1]
    for fault in (Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.NOT_JSON, Fault.WRONG_CODE, Fault.REDIRECT):
        simulator.set_faults(Faults({fault: 1.0}))
        client.status(2)
        assert client._connection.sock.getsockname()[1] == port


def test_latency_delays_the_answer_but_not_the_acceptance(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults(latency_ms=200, jitter_ms=100))
    started = time.monotonic()
    assert connect(simulator).status(1) == 200
    assert time.monotonic() - started >= 0.2
    simulator.set_faults(Faults(latency_ms=600_000))
    connect(simulator, PATIENCE).give_up(2)
    assert set(simulator.accepted()) == {1, 2}


def test_the_same_seed_gives_the_same_fates_in_any_order(start_simulator: StartSimulator, connect: Connect) -> None:
    faults = ("--fault", "server_error=0.3", "--fault", "wrong_code=0.2")

    def statuses(seed: int, ids: list[int]) -> dict[tuple[int, int], int]:
        simulator = start_simulator("--seed", str(seed), *faults)
        assert simulator.summary().seed == seed
        client = connect(simulator)
        return {(attempt, message_id): client.status(message_id) for attempt in (1, 2) for message_id in ids}

    ids = list(range(1, 101))
    first = statuses(5, ids)
    assert first == statuses(5, ids[::-1])
    assert first != statuses(6, ids)
    assert {200, 500, 502, 503, 504} == set(first.values())
    assert any(first[1, each] >= 500 and first[2, each] == 200 for each in ids)  # the next attempt may do


def test_an_id_is_left_in_peace_after_so_many_faults(start_simulator: StartSimulator, connect: Connect) -> None:
    simulator = start_simulator(
        "--fault", "server_error=0.5", "--fault", "not_json=0.5",
        "--max-faults-per-id", "3", "--refuse-ids-modulo", "5",
    )  # fmt: skip
    client = connect(simulator)
    for _ in range(4):
        statuses = {message_id: client.status(message_id) for message_id in range(1, 21)}
    assert statuses == {message_id: 200 if message_id % 5 else 400 for message_id in range(1, 21)}
    assert simulator.accepted().keys() == {message_id for message_id in range(1, 21) if message_id % 5}
    assert simulator.summary().faults["none"] == 16


# What it remembers


def test_an_id_that_comes_again_after_a_clean_answer_is_told_from_a_repeat(
    simulator: Simulator, connect: Connect
) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_HANG: 1.0}))
    connect(simulator, PATIENCE).give_up(1)
    simulator.set_faults(Faults())
    client = connect(simulator)
    client.status(1)
    summary = simulator.summary()
    assert (summary.accepted, summary.doubled, summary.resent) == (1, 1, 0)
    client.status(1)
    client.status(2)
    summary = simulator.summary()
    assert (summary.accepted, summary.doubled, summary.resent) == (2, 1, 1)
    accepted, received = simulator.accepted(), simulator.received()
    assert {message_id: each.count for message_id, each in accepted.items()} == {1: 3, 2: 1}
    assert accepted[1].first_at < accepted[1].last_at < accepted[2].first_at
    assert (received[1].after_ok, received[2].after_ok) == (1, 0)


def test_an_answer_that_nobody_waited_for_is_no_clean_answer(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults(latency_ms=200))
    connect(simulator, 0.1).give_up(1)
    client = connect(simulator)
    assert [client.status(2), client.status(1)] == [200, 200]
    assert simulator.summary().resent == 0
    assert simulator.summary().doubled == 1


def test_two_attempts_of_one_message_at_the_same_time_are_noticed(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults(latency_ms=300))
    with ThreadPoolExecutor(4) as pool:
        clients = [connect(simulator) for _ in range(4)]
        assert list(pool.map(Client.status, clients, [1, 1, 1, 2])) == [200] * 4
    assert simulator.summary().overlapping == 1
    assert {message_id: each.most_open for message_id, each in simulator.received().items()} == {1: 3, 2: 1}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.HANG, Fault.ACCEPT_HANG, Fault.RESET, Fault.ENDLESS])
def test_attempts_one_after_the_other_do_not_overlap(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.set_faults(Faults({} if fault is Fault.NONE else {fault: 1.0}))
    for _ in range(5):
        client = connect(simulator, 0.1)
        with contextlib.suppress(OSError), client.send(1) as response:
            response.read(100)
        client.close()
    assert simulator.summary().overlapping == 0
    assert simulator.received()[1].count == 5


def test_it_forgets_on_demand(simulator: Simulator, connect: Connect) -> None:
    client = connect(simulator)
    client.status(1)
    simulator.forget()
    assert not simulator.accepted()
    assert not simulator.received()
    assert simulator.summary().requests == 0
    client.status(1)
    assert simulator.summary().resent == 0


# Outages


def test_refuse_closes_the_port_and_what_is_open(simulator: Simulator, connect: Connect) -> None:
    client = connect(simulator)
    client.status(1)
    simulator.outage(Mode.REFUSE)
    with pytest.raises(ConnectionError):
        client.status(2)
    with pytest.raises(ConnectionRefusedError):
        connect(simulator).status(2)
    assert simulator.summary().outage is Mode.REFUSE
    simulator.outage(Mode.REFUSE)  # once more is harmless
    simulator.end_outage()
    assert connect(simulator).status(2) == 200
    assert simulator.summary().outage is None
    assert set(simulator.received()) == {1, 2}


@pytest.mark.parametrize("mode", list(Mode))
def test_an_outage_ends_by_itself_or_is_ended(simulator: Simulator, connect: Connect, mode: Mode) -> None:
    simulator.outage(mode, seconds=0.1)
    wait_until(lambda: simulator.summary().outage is None)
    assert connect(simulator).status(1) == 200
    simulator.outage(mode)
    simulator.end_outage()
    assert connect(simulator).status(1) == 200


def test_503_and_hang_accept_nothing_and_spare_the_faults(simulator: Simulator, connect: Connect) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_RESET: 1.0}, max_faults_per_id=1))
    simulator.outage("503")
    client = connect(simulator)
    assert [client.status(1), client.status(1)] == [503, 503]
    simulator.outage("hang")
    connect(simulator, PATIENCE).give_up(1)
    assert simulator.accepted() == {}
    assert simulator.summary().faults == {"outage": 3}
    simulator.end_outage()
    with pytest.raises(ConnectionResetError):
        client.status(1)
    assert connect(simulator).status(1) == 200


def test_a_new_outage_takes_the_place_of_one_that_is_on(simulator: Simulator, connect: Connect) -> None:
    simulator.outage("refuse", seconds=0.2)
    simulator.outage("503", seconds=60)
    assert connect(simulator).status(1) == 503
    simulator.outage("hang", after=0.4)  # well after the first would have ended
    assert _outages_until(simulator, Mode.HANG) == {Mode.UNAVAILABLE}


def test_ending_an_outage_forgets_those_to_come(simulator: Simulator, connect: Connect) -> None:
    simulator.outage("refuse")
    simulator.outage("503", after=0.2)
    simulator.end_outage()
    assert connect(simulator).status(1) == 200
    simulator.outage("hang", after=0.4)
    assert _outages_until(simulator, Mode.HANG) == {None}


def _outages_until(simulator: Simulator, last: Mode) -> set[Mode | None]:
    seen: set[Mode | None] = set()

    def came() -> bool:
        outage = simulator.summary().outage
        if outage is not last:
            seen.add(outage)
        return outage is last

    wait_until(came)
    return seen


def test_outages_come_by_the_schedule_of_the_command_line(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--outage", "503:0:0.6", "--outage", "refuse:1:0.6")
    seen: list[Mode | None] = []
    while len(seen) < 4:
        wait_until(lambda: simulator.summary().outage != (seen[-1] if seen else ""))
        seen.append(simulator.summary().outage)
    assert seen == [Mode.UNAVAILABLE, None, Mode.REFUSE, None]


# The control API


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        ("PUT", "faults", b"{", 400, "JSON"),
        ("PUT", "faults", b'{"rates": {"hang": 2}}', 400, "hang"),
        ("PUT", "faults", b'{"hang": 0.5}', 400, "hang"),
        ("POST", "outage", b"", 400, "JSON"),
        ("POST", "outage", b'{"mode": "sleep"}', 400, "mode"),
        ("POST", "outage", b'{"mode": "hang", "seconds": -1}', 400, "seconds"),
        ("GET", "everything", b"", 404, "endpoint"),
        ("POST", "faults", b"{}", 404, "endpoint"),
    ],
)
def test_control_refuses_what_makes_no_sense(
    simulator: Simulator, method: str, path: str, body: bytes, status: int, named: str
) -> None:
    before = simulator.faults()
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, f"{simulator.control_url}/control/{path}", data=body, timeout=DEADLINE)
    assert response.status_code == status
    assert named in response.json()["message"]
    assert simulator.faults() == before
    assert simulator.summary().outage is None


def test_the_client_says_what_the_simulator_said(simulator: Simulator) -> None:
    simulator.health()
    with pytest.raises(SimulatorError, match="mode"):
        simulator.outage("sleep")
    with pytest.raises(SimulatorError, match="ready"):
        Simulator.announced("something else")
    with pytest.raises(SimulatorError, match="does not answer"):
        Simulator(simulator.url, "http://127.0.0.1:1").health()


def test_faults_are_replaced_as_a_whole(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.HANG: 0.5}, latency_ms=5))
    simulator.set_faults(Faults({Fault.RESET: 0.25}))
    assert simulator.faults() == Faults({Fault.RESET: 0.25})


# The process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_summary(number: signal.Signals, connect: Connect) -> None:
    with process("--fault", "hang=0.5", "--seed", "1") as (child, simulator):
        for message_id in range(1, 9):
            with contextlib.suppress(TimeoutError):
                connect(simulator, 0.1).send(message_id)
        accepted = len(simulator.accepted())
        child.send_signal(number)
        output, _ = child.communicate(timeout=DEADLINE)
    assert child.returncode == 0
    assert 0 < accepted < 8
    assert output == f"provider simulator: 8 requests, {accepted} accepted, 0 doubled, 0 overlapping\n"


def test_more_connections_than_the_descriptor_limit_it_was_started_with(simulator: Simulator) -> None:
    with process(shell="ulimit -S -n 64") as (_, limited), contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address(limited), DEADLINE)) for _ in range(200)]
        for message_id, sock in enumerate(sockets, start=1):
            sock.sendall(raw(message_id))
        assert all(sock.recv(4096).startswith(b"HTTP/1.1 200 ") for sock in sockets)


@pytest.mark.parametrize(
    "arguments",
    [("--fault", "earthquake=1"), ("--fault", "hang"), ("--fault", "hang=2"), ("--outage", "hang"), ("--port", "x")],
)
def test_a_command_line_that_makes_no_sense_stops_it(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("python -m sandbox.simulator: error: ")


def test_a_port_that_is_taken_stops_it(simulator: Simulator) -> None:
    done = subprocess.run(
        command("--port", str(address(simulator)[1])), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("provider simulator: ")
    assert len(done.stderr.splitlines()) == 1


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sandbox.simulator", *arguments]


@contextlib.contextmanager
def process(*arguments: str, shell: str = ":") -> Iterator[tuple[subprocess.Popen[str], Simulator]]:
    """A simulator that is started after the command of a shell."""
    words = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command("--port", "0", *arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
        try:
            assert child.stdout is not None
            yield child, Simulator.announced(child.stdout.readline())
        finally:
            child.kill()
