"""Nobody in without a key, and nobody further than his scope."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from api_service.access import keyring, store
from api_service.web import key
from api_service.web.key import Scope, Token
from shared import clock
from tests.support.api import HOUR, Answer, Api, mailing
from tests.support.command import ROOT
from tests.support.keys_command import Run

pytest_plugins = ("tests.support.keys_command_fixture",)

OPEN = ["/", "/docs/", "/docs/swagger-ui.css", "/openapi.json", "/health/live", "/health/ready"]
PHONE = {"phone": "79120000001"}


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    api = Api(engine, auth=True)
    yield api
    engine.dispose()


@pytest.fixture
def made(engine: Engine) -> dict[Scope, Token]:
    """A key of each scope."""
    return {scope: make(engine, scope) for scope in Scope}


def make(engine: Engine, scope: Scope, **more: Any) -> Token:
    token = key.new()
    with Session(engine) as session, session.begin():
        store.stored(session, token, f"a key for {scope}", scope, more.get("expires_at"))
    return token


def ask(api: Api, token: object, method: str, path: str, body: Any = None, **more: Any) -> Answer:
    return api(method, path, body, headers={"Authorization": f"Bearer {token}"}, **more)


# ---------------------------------------------------------------- who gets in


def operations(api: Api) -> list[tuple[str, str, str]]:
    """Method, path and scope of every operation, as the document says."""
    found = []
    for path, methods in api.document()["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and operation["security"]:
                (wanted,) = operation["security"][0]["key"]
                target = re.sub(r"\{\w+\}", "1", path.replace("{key_id}", "0123456789ab").replace("{name}", "north"))
                found.append((method.upper(), target, wanted))
    return found


def test_every_operation_asks_for_the_scope_that_the_document_names(api: Api, made: dict[Scope, Token]) -> None:
    asked = operations(api)
    assert len(asked) >= 18
    before = api.contents()
    for method, path, wanted in asked:
        answer = api(method, path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="notification-service"')
        for scope, token in made.items():
            answer = ask(api, token, method, path)
            if scope.allows(Scope(wanted)):
                assert answer.status not in (401, 403), (method, path, scope)
            else:
                assert answer.status == 403, (method, path, scope)
                assert f'error="insufficient_scope", scope="{wanted}"' in answer.headers["WWW-Authenticate"]
    assert api.contents() == before


def test_documents_and_health_are_open_and_everything_else_is_not(api: Api) -> None:
    for path in OPEN:
        assert api("GET", path).status in (200, 302), path
    for method, path in (("GET", "/nothing"), ("GET", "/metrics"), ("OPTIONS", "/clients/"), ("DELETE", "/clients/")):
        assert api(method, path).status == 401
    assert api.app.test_client().head("/clients/").status_code == 401


NO_KEYS = [
    "Bearer",
    "Bearer ",
    "Bearer nonsense",
    "Bearer nsk_0123456789ab_{secret}",
    "Bearer nsk_{id}_" + "A" * 43,
    "Bearer nsk_{id}_{secret}x",
    "Bearer nsk_{id}_{secret}, Bearer nsk_{id}_{secret}",
    "Basic nsk_{id}_{secret}",
    "Basic bnNrOg==",
    "nsk_{id}_{secret}",
    "Bearer \xff",
]


def test_what_is_no_valid_key_opens_nothing(api: Api, made: dict[Scope, Token]) -> None:
    token = made[Scope.ADMIN]
    for credentials in NO_KEYS:
        given = credentials.format(id=token.id, secret=token.secret)
        answer = api("POST", "/clients/", PHONE, headers={"Authorization": given})
        assert answer.status == 401, credentials
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert token.secret.encode() not in answer.body
    assert api.contents()["clients"] == []


def test_it_is_only_in_its_header_that_a_key_opens(api: Api, made: dict[Scope, Token]) -> None:
    token = made[Scope.ADMIN]
    assert api("GET", f"/clients/?access_token={token}&key={token}").status == 401
    assert api("GET", "/clients/", headers={"Cookie": f"key={token}"}).status == 401
    assert ask(api, token, "GET", "/clients/").status == 200


def test_an_expired_key_opens_nothing(api: Api, engine: Engine) -> None:
    now = clock.now()
    assert ask(api, make(engine, Scope.READ, expires_at=now + HOUR), "GET", "/clients/").status == 200
    assert ask(api, make(engine, Scope.READ, expires_at=now - HOUR), "GET", "/clients/").status == 401


# ---------------------------------------------------------------- revoking


def test_a_revoked_key_opens_nothing_within_seconds(
    api: Api, made: dict[Scope, Token], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, admin = made[Scope.READ], made[Scope.ADMIN]
    assert ask(api, reader, "GET", "/clients/").status == 200
    for _ in range(2):
        assert ask(api, admin, "DELETE", f"/keys/{reader.id}/").status == 204
    passed = clock.ticks() + keyring.FRESH
    monkeypatch.setattr(clock, "ticks", lambda: passed)
    assert ask(api, reader, "GET", "/clients/").status == 401
    assert ask(api, admin, "DELETE", "/keys/0123456789ab/").status == 404


def test_a_list_of_keys_holds_no_secret(api: Api, made: dict[Scope, Token]) -> None:
    answer = ask(api, made[Scope.ADMIN], "GET", "/keys/")
    assert [(one["id"], one["scope"]) for one in answer.json] == [(token.id, scope) for scope, token in made.items()]
    for token in made.values():
        assert token.secret.encode() not in answer.body
        assert token.digest.hex().encode() not in answer.body
    for token in (made[Scope.READ], made[Scope.WRITE]):
        assert ask(api, token, "GET", "/keys/").status == 403


def test_the_database_holds_no_secret(api: Api, made: dict[Scope, Token]) -> None:
    stored = api.execute("select string_agg(api_keys::text, ' ') from api_keys")
    for token in made.values():
        assert token.id in stored
        assert token.secret not in stored


# ---------------------------------------------------------------- the price


def test_looking_a_key_up_costs_the_database_nothing(api: Api, made: dict[Scope, Token]) -> None:
    api.execute("insert into clients (phone, operator_code, timezone) values (79120000001, '912', 'UTC')")
    statements: list[str] = []
    event.listen(api.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    for _ in range(50):
        assert ask(api, made[Scope.READ], "GET", "/clients/").status == 200
        assert ask(api, f"nsk_0123456789ab_{'a' * 43}", "GET", "/clients/").status == 401
    looks = [statement for statement in statements if "api_keys" in statement]
    assert 1 <= len(looks) < 20  # one every few seconds, at most one a second: not one a request
    assert len(statements) - len(looks) == 100  # two of each answer


def test_a_new_key_opens_within_a_second_or_two(api: Api, engine: Engine) -> None:
    assert ask(api, make(engine, Scope.READ), "GET", "/clients/").status == 200
    token, deadline = make(engine, Scope.READ), clock.ticks() + keyring.FRESH - 1
    while ask(api, token, "GET", "/clients/").status != 200:
        assert clock.ticks() < deadline


# ---------------------------------------------------------------- without the database


def test_without_the_database_nobody_is_told_that_his_key_is_wrong(
    api: Api, made: dict[Scope, Token], postgres: str
) -> None:
    unknown = f"nsk_0123456789ab_{'a' * 43}"
    assert ask(api, made[Scope.WRITE], "GET", "/clients/").status == 200
    admin = psycopg2.connect(postgres)
    admin.autocommit = True
    name = api.engine.url.database
    try:
        admin.cursor().execute(f"alter database {name} allow_connections false")
        admin.cursor().execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        fresh = Api(api.engine, auth=True)  # as after a restart: it has never seen a key
        for asked in (api, fresh):
            for token in (made[Scope.WRITE], unknown):
                answer = ask(asked, token, "POST", "/clients/", PHONE)
                if (asked, token) != (api, unknown):  # it may still know that there is no such key
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert asked("GET", "/clients/").status == 401  # needs nobody to be asked
            assert asked("GET", "/health/live").status == 200
        admin.cursor().execute(f"alter database {name} allow_connections true")
    finally:
        admin.close()
    for asked in (api, fresh):
        assert ask(asked, made[Scope.WRITE], "GET", "/clients/").status == 200


# ---------------------------------------------------------------- the rate


def test_a_key_that_asks_too_often_waits_and_others_do_not(engine: Engine, made: dict[Scope, Token]) -> None:
    api = Api(engine, auth=True, rate=5)
    reader, writer = made[Scope.READ], made[Scope.WRITE]
    ask(api, reader, "GET", "/mailings/")  # reads the keys
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(api, reader, "GET", "/nothing"), range(100)))
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {404, 429}
    assert refused
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert ask(api, writer, "POST", "/clients/", PHONE).status == 201
    assert api("GET", "/health/live").status == 200
    deadline = clock.ticks() + 10
    while ask(api, reader, "GET", "/nothing").status == 429:
        assert clock.ticks() < deadline


def test_who_tries_keys_is_slowed_down_by_his_address(engine: Engine) -> None:
    api = Api(engine, auth=True, rate=5)
    answers = [ask(api, key.new(), "GET", "/clients/").status for _ in range(100)]
    assert set(answers) == {401, 429}
    assert answers.count(429) > 50
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert ask(api, key.new(), "GET", "/clients/", **elsewhere).status == 401


def test_an_open_api_is_limited_by_address(engine: Engine) -> None:
    api = Api(engine, rate=5)
    answers = [api("GET", "/nothing").status for _ in range(100)]
    assert set(answers) == {404, 429}
    before = api.contents()
    while (answer := api("POST", "/mailings/", mailing())).status != 429:
        before = api.contents()
    assert api.contents() == before
    assert (api.announced == []) == (before["mailings"] == [])
    assert answer.json["message"] == "Too many requests in this second."


def test_an_open_api_is_not_for_pages_of_other_sites(engine: Engine) -> None:
    api = Api(engine)
    made = api.make("/mailings/", mailing())
    pause = f"/mailings/{made['id']}/pause/"
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8001", "Host": "localhost:8000"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "[::1"},
    ):
        assert api("POST", pause, headers=headers).status in (400, 403), headers
        assert api("GET", "/clients/", headers=headers).status in (400, 403), headers
    assert api.get(f"/mailings/{made['id']}/")["state"] == "scheduled"
    for headers in ({"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}, {"Host": "[::1]:8000"}):
        assert api("POST", pause, headers=headers).status == 200  # Swagger UI of this machine


# ---------------------------------------------------------------- the command


def test_a_key_is_made_listed_and_revoked_on_the_command_line(api: Api, database_url: str, run: Run) -> None:
    create = [sys.executable, "-m", "api_service", "keys", "create", "--name", "shop", "--scope", "write"]
    env = {"DATABASE_URL": database_url}
    done = subprocess.run([*create, "--expires", "30"], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    token = key.parsed(done.stdout.strip())
    assert token is not None
    assert ask(api, token, "POST", "/clients/", PHONE).status == 201
    shown = run("list")
    assert shown.code == 0
    assert all(part in shown.out for part in (token.id, "write", "shop", "expires"))
    assert token.secret not in shown.out + shown.err
    for _ in range(2):
        assert run("revoke", token.id).code == 0
    assert "revoked" in run("list").out
    assert ask(Api(api.engine, auth=True), token, "GET", "/clients/").status == 401


def test_a_key_from_a_file_is_adopted_once_and_stays_revoked(api: Api, run: Run, tmp_path: Path) -> None:
    token, file = key.new(), tmp_path / "api-key"
    file.write_text(f"{token}\n")
    adopt = ("adopt", str(file), "--name", "first", "--scope", "admin")
    assert "is adopted" in run(*adopt).out
    assert ask(api, token, "GET", "/keys/").status == 200
    assert run("revoke", token.id).code == 0
    again = run(*adopt)
    assert (again.code, "left as it is" in again.out) == (0, True)
    assert ask(Api(api.engine, auth=True), token, "GET", "/keys/").status == 401


def test_commands_that_make_no_sense_change_nothing(api: Api, run: Run, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nsk_1")
    for arguments, code, sentence in (
        ([], 2, "required: action"),
        (["create", "--name", "", "--scope", "read"], 2, "1 to 64 printable characters"),
        (["create", "--name", "shop", "--scope", "root"], 2, "root"),
        (["create", "--name", "shop", "--scope", "read", "--expires", "0"], 2, "whole number of days"),
        (["adopt", str(nonsense), "--name", "first", "--scope", "admin"], 2, "holds no key"),
        (["adopt", str(tmp_path / "none"), "--name", "first", "--scope", "admin"], 2, "cannot be read"),
        (["revoke", "0123456789ab"], 1, "There is no key 0123456789ab."),
    ):
        done = run(*arguments)
        assert (done.code, done.out) == (code, "")
        assert sentence in done.err
    assert api.execute("select count(*) from api_keys") == 0
    done = run("create", "--name", "shop", "--scope", "read", url=f"postgresql:///none?host={tmp_path}")
    assert (done.code, done.out) == (1, "")
    assert "The database did not do it" in done.err
