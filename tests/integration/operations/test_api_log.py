"""What an operator reads after an attack: who it was, what was refused and why, how often; and never a flood."""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests
from sqlalchemy import Engine, text

from api_service.web import key, thinning
from api_service.web.key import Scope, Token
from shared import clock
from tests.support.api import HOUR
from tests.support.api_server import Server
from tests.support.locked_server import bearer, locked_server, make_key
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

FLOOD = 1600
Event = dict[str, object]


@pytest.fixture
def keys(engine: Engine) -> dict[str, Token]:
    """One of each kind."""
    made = {
        "reader": make_key(engine, Scope.READ),
        "expired": make_key(engine, Scope.READ, clock.now() - HOUR),
        "revoked": make_key(engine, Scope.READ),
    }
    with engine.begin() as connection:
        connection.execute(text("update api_keys set revoked_at = now() where id = :id"), {"id": made["revoked"].id})
    return made


@pytest.fixture
def server(database_url: str, keys: dict[str, Token]) -> Iterator[Server]:
    with locked_server(database_url) as server:
        yield server


def requests_of(server: Server, path: str) -> list[Event]:
    return [event for event in server.events("request") if event["path"] == path]


def number_of(events: list[Event]) -> int:
    """Of requests: those that have a line and those that were counted."""
    return sum(int(str(event.get("repeated", 1))) for event in events)


def test_a_refused_request_leaves_its_address_its_key_and_the_reason(server: Server, keys: dict[str, Token]) -> None:
    reader, stranger = keys["reader"], key.new()
    guessed = Token(reader.id, stranger.secret)
    given = {
        "no_key": ({}, None),
        "malformed": (bearer(f"{reader}!"), None),
        "unknown": (bearer(stranger), stranger.id),
        "wrong_secret": (bearer(guessed), reader.id),
        "expired": (bearer(keys["expired"]), keys["expired"].id),
        "revoked": (bearer(keys["revoked"]), keys["revoked"].id),
        "scope": (bearer(reader), reader.id),
    }
    answers = []
    for reason, (headers, _) in given.items():
        answer = requests.post(f"{server.url}/clients/?for={reason}", json={}, headers=headers, timeout=30)
        assert answer.status_code == (403 if reason == "scope" else 401), reason
        answers.append(answer.text)
    assert len(set(answers)) == 3, "whoever has no key, no valid key, too small a key: more is told to nobody"
    wait_until(lambda: len(requests_of(server, "/clients/")) == len(given))
    for event, (reason, (_, key_id)) in zip(requests_of(server, "/clients/"), given.items(), strict=True):
        assert (event["reason"], event.get("key"), event["address"]) == (reason, key_id, "127.0.0.1")
    counted = server.metrics()
    for reason in given:
        assert f'api_refused_total{{reason="{reason}"}} 1.0' in counted
    told = "".join(server.lines)
    for token in (*keys.values(), stranger):
        assert token.secret not in told


def test_a_flood_from_one_connection_leaves_a_few_lines_and_its_number(server: Server, keys: dict[str, Token]) -> None:
    with requests.Session() as session:
        for _ in range(FLOOD):
            assert session.get(f"{server.url}/clients/", timeout=30).status_code == 401
        for _ in range(100):
            session.get(f"{server.url}/docs/", timeout=30)
        allowed = requests.get(f"{server.url}/clients/", headers=bearer(keys["reader"]), timeout=30)
    assert allowed.status_code == 200
    wait_until(lambda: number_of(requests_of(server, "/clients/")) == FLOOD + 1)
    wait_until(lambda: number_of(requests_of(server, "/docs/")) == 100)
    refused = [event for event in requests_of(server, "/clients/") if event["status"] == 401]
    windows = 1 + max(1, sum("repeated" in event for event in refused))
    assert len(refused) <= windows * (thinning.LIMIT + 1)
    assert all(event["reason"] == "no_key" and event["address"] == "127.0.0.1" for event in refused)
    assert [event["key"] for event in requests_of(server, "/clients/") if event["status"] == 200] == [keys["reader"].id]
    left_out = re.search(r"api_log_lines_left_out_total (\d+)", server.metrics())
    assert left_out
    assert int(left_out[1]) >= FLOOD - len(refused)


def test_no_error_is_left_out_without_its_number_even_where_the_process_ends(
    server: Server, keys: dict[str, Token], engine: Engine
) -> None:
    with superuser(engine) as connection:
        connection.execute(text("alter table clients rename to lost"))
    for _ in range(50):
        assert requests.get(f"{server.url}/clients/", headers=bearer(keys["reader"]), timeout=30).status_code == 500
    assert server.processes.stop("api") == 0  # long before the window is over
    failed = requests_of(server, "/clients/")
    assert {event["status"] for event in failed} == {500}
    assert number_of(failed) == 50
    assert len(failed) <= 2 * (thinning.LIMIT + 1)
    told = server.events("Exception on /clients/ [GET]")
    assert 1 <= len(told) <= 2 * thinning.LIMIT
    assert all("Traceback" in str(event["exception"]) for event in told)
    assert len(told) + number_of(server.events("defect")) == 50


def test_what_changes_something_always_has_its_line(server: Server, engine: Engine) -> None:
    writer = bearer(make_key(engine, Scope.WRITE))
    wait_until(lambda: requests.get(f"{server.url}/clients/", headers=writer, timeout=30).status_code == 200)
    made = []
    for number in range(4 * thinning.LIMIT):
        body = {"phone": f"7912000{number:04}"}
        answer = requests.post(f"{server.url}/clients/", json=body, headers=writer, timeout=30)
        assert answer.status_code == 201, answer.text
        made.append(answer.headers["X-Request-ID"])

    def told() -> set[object]:
        return {event["request_id"] for event in server.events("request") if event["status"] == 201}

    # Not in their order, which is that of two workers.
    with suppress(AssertionError):  # what differs says more
        wait_until(lambda: told() == set(made))
    assert told() == set(made)
