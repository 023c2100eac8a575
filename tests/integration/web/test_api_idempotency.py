"""A request that is sent again under the same `Idempotency-Key` is carried out once."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, text

from api_service.web.idempotency import Forgetting
from api_service.web.key import Scope
from sandbox.processes import Processes
from tests.support.api import Answer, Api, Json, mailing
from tests.support.locked_server import bearer, make_key
from tests.support.superuser import superuser

ANNA = {"phone": "79123456789"}


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine)


def keyed(api: Api, key: str, path: str = "/clients/", body: Json = ANNA, **more: object) -> Answer:
    return api("POST", path, body, headers={"Idempotency-Key": key}, **more)


THINGS = [("/clients/", ANNA), ("/segments/", {"name": "All", "filter": {}}), ("/mailings/", mailing())]


@pytest.mark.parametrize(("path", "body"), THINGS)
def test_the_same_again_is_answered_the_same(api: Api, path: str, body: Json) -> None:
    first, second = keyed(api, "k", path, body), keyed(api, "k", path, body)
    assert (first.status, "Idempotency-Replayed" in first.headers) == (201, False)
    assert (second.status, second.body, second.headers["Idempotency-Replayed"]) == (201, first.body, "true")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert len(api.get(path)) == 1
    assert api.execute("select count(*) from audit") == 1
    assert api.announced in ([], [first.json["id"]])


def test_a_control_is_replayed_too(api: Api) -> None:
    path = f"/mailings/{api.make('/mailings/', mailing())['id']}/"
    paused = keyed(api, "k", f"{path}pause/", None)
    api("POST", f"{path}resume/")
    assert keyed(api, "k", f"{path}pause/", None).body == paused.body
    assert api.get(path)["state"] == "scheduled"


@pytest.mark.parametrize("key", ["k", "k" * 255, "!~", "{}"])
def test_keys(api: Api, key: str) -> None:
    assert (keyed(api, key).status, keyed(api, key).status) == (201, 201)


@pytest.mark.parametrize("key", ["", "k" * 256, "a b", "ключ", "a\tb", "\x7f"])
def test_keys_that_are_none(api: Api, key: str) -> None:
    answer = keyed(api, key.encode().decode("latin-1"))
    assert (answer.status, answer.at_fault) == (422, {"Idempotency-Key"})
    assert api.get("/clients/") == []


def test_another_request_under_the_same_key_is_refused(api: Api) -> None:
    keyed(api, "k")
    for path, body in (
        ("/clients/", {"phone": "79123456780"}),
        ("/clients/", {**ANNA, "tag": ""}),
        ("/mailings/", mailing()),
    ):
        answer = keyed(api, "k", path, body)
        assert (answer.status, answer.json["type"]) == (422, "idempotency-key-reused")
    assert (len(api.get("/clients/")), api.get("/mailings/")) == (1, [])


def test_what_changed_nothing_is_tried_again(api: Api) -> None:
    other = api.make("/clients/", ANNA)["id"]
    assert keyed(api, "k").status == 409
    assert keyed(api, "bad", body={"phone": "1"}).status == 422
    api("DELETE", f"/clients/{other}/")
    assert keyed(api, "k").status == 201
    assert keyed(api, "bad", body={"phone": "79000000000"}).status == 201


def test_while_the_first_is_under_way_the_others_are_told_so(api: Api) -> None:
    """It waits for a lock that the test holds."""
    with ThreadPoolExecutor(1) as pool, api.engine.begin() as connection:
        connection.execute(text("lock table clients in exclusive mode"))
        first = pool.submit(keyed, api, "k")
        _await(
            api.engine,
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        )
        second = keyed(api, "k")
        assert (second.status, second.json["type"]) == (409, "in-progress")
        connection.commit()
        assert first.result(30).status == 201
    assert keyed(api, "k").status == 201


def test_each_api_key_has_keys_of_its_own(engine: Engine) -> None:
    """What one caller was answered is never given to another."""
    api, anna, boris = Api(engine, auth=True), make_key(engine, Scope.WRITE), make_key(engine, Scope.WRITE)
    phones = {anna: "79123456789", boris: "79260000000"}
    for _ in range(2):
        for token, phone in phones.items():
            headers = {"Idempotency-Key": "k", **bearer(token)}
            answer = api("POST", "/clients/", {"phone": phone}, headers=headers)
            assert (answer.status, answer.json["phone"]) == (201, phone)
    assert api.execute("select count(*) from clients") == 2


def test_old_answers_are_forgotten(api: Api) -> None:
    keyed(api, "old")
    keyed(api, "new", body={"phone": "79000000000"})
    api.execute("update kept_answers set made_at = now() - interval '25 h' where key = 'old'")
    assert keyed(api, "old").status == 409  # the phone is taken: it was carried out anew
    api.execute("update kept_answers set made_at = now() - interval '25 h' where key = 'old'")
    Forgetting(api.engine).look()
    assert api.execute("select string_agg(key, ',') from kept_answers") == "new"


CSV = b"phone\n79123456789\n"


def test_a_file_is_taken_once(api: Api) -> None:
    answers = [
        api("POST", "/clients/import/", data=CSV, content_type="text/csv", headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert answers[0].body == answers[1].body
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert api.execute("select count(*) from imports") == 1
    other = api("POST", "/clients/import/", data=CSV * 2, content_type="text/csv", headers={"Idempotency-Key": "k"})
    assert other.status == 422
    assert api.execute("select count(*) from pg_locks where locktype = 'advisory'") == 0


# ---------------------------------------------------------------- with processes


@contextmanager
def served(database_url: str, workers: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a running service, and what kills its workers."""
    with Processes(lambda _name, _line: None) as processes:
        env = {"DATABASE_URL": database_url, "API_PORT": "0", "API_AUTH": "off", "API_RATE": "0", "LOG_FORMAT": "json"}
        processes.start("api", "api_service", env | {"API_WORKERS": str(workers)})
        pid = processes.pid("api")

        def kill() -> None:
            for worker in psutil.Process(pid).children():
                worker.send_signal(signal.SIGKILL)

        url = f"http://127.0.0.1:{processes.wait_line('api', PORT)[1]}"
        processes.wait_http("api", f"{url}/health/ready")
        yield url, kill


PORT = r'"port": (\d+), "pid"'


def test_of_many_at_once_on_two_workers_one_thing_is_made(database_url: str, engine: Engine) -> None:
    start = threading.Barrier(24)

    def send(url: str) -> tuple[int, bytes]:
        start.wait()
        answer = requests.post(f"{url}/clients/", json=ANNA, headers={"Idempotency-Key": "k"}, timeout=30)
        return answer.status_code, answer.content

    with served(database_url, 2) as (url, _), ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(send, [url] * 24))
    made = {body for status, body in answers if status == 201}
    assert len(made) == 1
    assert {status for status, _ in answers} <= {201, 409, 429}
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from clients")) == 1


def test_killed_between_commit_and_answer(database_url: str, engine: Engine) -> None:
    """The commit is held up in the database; when it has happened there is nobody left to answer."""
    with served(database_url, 1) as (url, kill):
        with superuser(engine) as connection:
            connection.execute(text(_SLOW_COMMIT))
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(_post, url)
            _await(
                engine, "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and query like '%commit'"
            )
            kill()
            assert sent.result(30) is None
        _await(engine, "select count(*) from clients")
        with superuser(engine) as connection:
            connection.execute(text("drop trigger slow on clients"))
        again = _until(lambda: _post(url))
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from clients")) == 1


def test_a_file_whose_process_dies_on_the_way_is_taken_anew(database_url: str, engine: Engine) -> None:
    """It leaves a row without an answer, which nobody guards any more, and what it had taken."""
    lines = [f"{phone}\n".encode() for phone in range(79_000_000_000, 79_000_020_000)]

    def file(then: Callable[[], None]) -> Iterator[bytes]:
        yield b"phone\n" + b"".join(lines[:15_000])
        then()
        yield b"".join(lines[15_000:])

    with served(database_url, 1) as (url, kill):

        def send(then: Callable[[], None]) -> requests.Response | None:
            headers = {"Idempotency-Key": "k", "Content-Type": "text/csv"}
            try:
                return requests.post(f"{url}/clients/import/", data=file(then), headers=headers, timeout=60)
            except requests.RequestException:
                return None

        def die() -> None:
            _await(engine, "select count(*) from imports where lines > 0")
            _await(engine, f"select count(*) from pg_locks where {_GUARDED}")
            kill()
            _await(engine, f"select not exists (select from pg_locks where {_GUARDED})")

        assert send(die) is None
        assert not _scalar(engine, "select status from kept_answers")
        left = _scalar(engine, "select count(*) from clients")
        assert 0 < left < 20_000
        again = _until(lambda: send(lambda: None))
        assert (again.status_code, "Idempotency-Replayed" in again.headers) == (200, False)
        assert (again.json()["created"], again.json()["updated"]) == (20_000 - left, left)
        replayed = send(lambda: None)
        assert replayed is not None
        assert (replayed.content, replayed.headers["Idempotency-Replayed"]) == (again.content, "true")


_GUARDED = """
    locktype = 'advisory' and granted and mode = 'ExclusiveLock'
    and database = (select oid from pg_database where datname = current_database())
    and pid in (select pid from pg_stat_activity where application_name = 'api-files')
"""

_SLOW_COMMIT = """
    create function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(2); return null; end $$;
    create constraint trigger slow after insert on clients deferrable initially deferred
    for each row execute function sleep();
"""


def _post(url: str) -> requests.Response | None:
    try:
        return requests.post(f"{url}/clients/", json=ANNA, headers={"Idempotency-Key": "k"}, timeout=30)
    except requests.RequestException:
        return None


def _until(ask: Callable[[], requests.Response | None]) -> requests.Response:
    """The answer, which the next worker gives."""
    deadline = time.monotonic() + 30
    while (answer := ask()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


def _scalar(engine: Engine, sql: str) -> Any:
    with superuser(engine) as connection:
        return connection.scalar(text(sql))


def _await(engine: Engine, sql: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        if _scalar(engine, sql):
            return
        assert time.monotonic() < deadline, sql
        time.sleep(0.02)
