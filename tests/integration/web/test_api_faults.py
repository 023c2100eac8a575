"""What the API answers when what it stands on fails, and that it recovers by itself."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, make_url, text

from api_service.app import create_app
from api_service.operations.probe import Probe
from shared import clock
from shared.database.engine import answers, make_engine, takes_writes
from tests.support import database_faults
from tests.support.api import Answer, Api, mailing

pytest_plugins = ("tests.support.api_fixture",)

Fault = Callable[[str], AbstractContextManager[None]]

OPERATIONS = [
    ("GET", "/clients/"),
    ("POST", "/clients/"),
    ("DELETE", "/clients/1/"),
    ("GET", "/mailings/"),
    ("POST", "/mailings/1/pause/"),
    ("GET", "/mailings/general_statistics/"),
    ("GET", "/mailings/1/detail_statistics/"),
]


def ask(api: Api, method: str, path: str) -> Answer:
    return api(method, path, {"phone": "79120000009"} if (method, path) == ("POST", "/clients/") else None)


def assert_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.json["status"], answer.headers["Retry-After"]) == (503, "Service Unavailable", "5")


def test_no_database(tmp_path: Path) -> None:
    engine = make_engine(f"postgresql:///none?host={tmp_path}", "test")
    api = Api(engine)
    for method, path in OPERATIONS:
        assert_unavailable(ask(api, method, path))
    assert api("GET", "/health/live").status == 200
    assert api("GET", "/openapi.json").status == 200


def test_a_database_that_goes_away_and_comes_back(api: Api, postgres: str) -> None:
    api.make("/clients/", {"phone": "79120000001"})
    name = api.engine.url.database
    admin = psycopg2.connect(postgres)
    admin.autocommit = True
    try:
        cursor = admin.cursor()
        cursor.execute(f"alter database {name} allow_connections false")
        cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        for method, path in OPERATIONS:
            assert_unavailable(ask(api, method, path))
        cursor.execute(f"alter database {name} allow_connections true")
    finally:
        admin.close()
    assert [client["phone"] for client in api.get("/clients/")] == ["79120000001"]


def test_connections_that_break_unnoticed_are_replaced(api: Api) -> None:
    """As a restart of the server leaves them."""
    api.get("/clients/")
    api.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    assert api.get("/clients/") == []


def test_a_connection_that_breaks_in_mid_request(api: Api) -> None:
    api.make("/mailings/", mailing())
    answer = _while_the_mailings_are_locked(
        api,
        lambda: api("POST", "/mailings/1/pause/"),
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'",
    )
    assert_unavailable(answer)
    assert api.get("/mailings/1/")["state"] == "scheduled"


def test_a_statement_that_takes_too_long(api: Api, database_url: str) -> None:
    api.make("/mailings/", mailing())
    impatient = Api(make_engine(database_url, "test", statement_timeout=0.3))
    assert_unavailable(_while_the_mailings_are_locked(api, lambda: impatient("POST", "/mailings/1/pause/"), "select 1"))
    assert impatient("POST", "/mailings/1/pause/").status == 200
    impatient.engine.dispose()


def _while_the_mailings_are_locked(api: Api, request: Callable[[], Answer], disturb: str) -> Answer:
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(request()))
    with api.engine.begin() as connection:
        connection.execute(text("lock table mailings in access exclusive mode"))
        thread.start()
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        while not api.execute(waiting):
            assert thread.is_alive()
        api.execute(disturb)
        thread.join(10)
    return answers[0]


# By the server's own code: what it says when …
TROUBLES = {
    "25006": "it is a standby",
    "25P03": "a transaction stood still",
    "40001": "two transactions do not go together",
    "40P01": "two wait for each other",
    "53100": "its disk is full",
    "53200": "its memory is used up",
    "53300": "its connections are used up",
    "55P03": "a lock was not to be had",
    "57014": "a statement took too long",
    "57P01": "it is told to stop",
    "57P02": "it crashes",
    "57P03": "it is starting",
    "58030": "its disk fails",
}
DEFECTS = {"22012": "a division by zero", "25P02": "a transaction that has failed", "42703": "no such column"}


def test_troubles_of_the_database_are_no_defects(api: Api) -> None:
    for code in TROUBLES | DEFECTS:
        with _refusing(api, code):
            answer = api("POST", "/clients/", {"phone": "79120000009"})
        if code in TROUBLES:
            assert_unavailable(answer)
        else:
            assert answer.status == 500, code
        assert api.get("/clients/") == []
    assert api("POST", "/clients/", {"phone": "79120000009"}).status == 201


@contextmanager
def _refusing(api: Api, code: str) -> Iterator[None]:
    """Whatever writes a client gets this error from the server."""
    api.execute(
        "create or replace function refuse() returns trigger language plpgsql as"
        f" $$ begin raise exception using errcode = '{code}', message = 'refused'; end $$"
    )
    api.execute("create trigger refuse before insert on clients execute function refuse()")
    yield
    api.execute("drop trigger refuse on clients")


def test_a_database_that_is_read_only_for_a_while(api: Api, postgres: str) -> None:
    made = api.make("/clients/", {"phone": "79120000001"})
    name = api.engine.url.database
    _restarted(api, postgres, f"alter database {name} set default_transaction_read_only = on")
    for method, path in (("POST", "/clients/"), ("DELETE", f"/clients/{made['id']}/")):
        assert_unavailable(ask(api, method, path))
    assert api.get("/clients/") == [made]
    _restarted(api, postgres, f"alter database {name} set default_transaction_read_only = off")
    assert api("POST", "/clients/", {"phone": "79120000009"}).status == 201


def _restarted(api: Api, postgres: str, statement: str) -> None:
    with closing(psycopg2.connect(postgres)) as admin:
        admin.autocommit = True
        admin.cursor().execute(statement)
    api.engine.dispose()  # a setting of a database holds for new connections


def test_a_database_that_has_no_connections_left(api: Api, database_url: str) -> None:
    api.execute("create role few_connections login connection limit 1")
    try:
        api.execute("grant all on all tables in schema public to few_connections")
        url = make_url(database_url).set(username="few_connections").render_as_string(hide_password=False)
        crowded, other = Api(make_engine(url, "test")), make_engine(url, "other")
        with other.connect() as held:
            held.execute(text("select 1"))
            assert_unavailable(crowded("POST", "/clients/", {"phone": "79120000009"}))
            assert_unavailable(crowded("GET", "/clients/"))
        other.dispose()
        assert crowded("POST", "/clients/", {"phone": "79120000009"}).status == 201
        crowded.engine.dispose()
    finally:
        api.execute("drop owned by few_connections; drop role few_connections")


def test_a_lock_is_waited_for_only_so_long(api: Api, database_url: str) -> None:
    """Whatever the statement: the limit of a statement holds for what it waits for, too."""
    patient = Api(make_engine(database_url, "test", statement_timeout=0.3))
    with api.engine.begin() as connection:
        connection.execute(text("lock table clients in access exclusive mode"))
        for method, path in (("GET", "/clients/"), ("POST", "/clients/"), ("DELETE", "/clients/1/")):
            assert_unavailable(ask(patient, method, path))
    assert patient("GET", "/clients/").status == 200
    patient.engine.dispose()


def test_a_defect_is_answered_in_the_shape_of_all_errors(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the details, all but phone numbers."""
    api.execute("alter table clients rename to lost")
    answer = api("POST", "/clients/", {"phone": "79123456789"})
    assert (answer.status, answer.json["status"]) == (500, "Internal Server Error")
    assert b"insert" not in answer.body.lower()
    assert "UndefinedTable" in caplog.text
    assert "79123456789" not in caplog.text
    api.execute("alter table lost rename to clients")
    assert api.get("/clients/") == []


def test_answers_tell_browsers_to_be_careful(api: Api) -> None:
    for path in ("/clients/", "/clients/1/", "/nothing", "/health/live", "/openapi.json", "/docs/"):
        headers = api("GET", path).headers
        page = path == "/docs/"
        assert headers["Cache-Control"] == ("no-cache" if page else "no-store"), path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self';" if page else "default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "Access-Control-Allow-Origin" not in headers


def test_every_answer_carries_the_id_of_its_request(api: Api) -> None:
    assert api("GET", "/clients/", headers={"X-Request-ID": "a-1.B_2"}).headers["X-Request-ID"] == "a-1.B_2"
    made = {api("GET", "/nothing").headers["X-Request-ID"] for _ in range(3)}
    assert len(made) == 3
    for given in ("", "x" * 65, "a b", "ü", '"><script>'):
        answered = api("GET", "/clients/", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert len(answered) == 32
        assert answered.isalnum()


# ---------------------------------------------------------------- readiness


def with_probes(engine: Engine, **asks: Callable[[], object]) -> Api:
    probes = {
        name: Probe(name, ask, timeout=0.5, fresh=0.2, is_needed=name == "database") for name, ask in asks.items()
    }
    return Api(engine, probes=probes)


def fail() -> None:
    raise OSError("down")


def test_ready_when_everything_answers(engine: Engine) -> None:
    api = with_probes(engine, database=lambda: answers(engine), broker=lambda: True)
    answer = api("GET", "/health/ready")
    assert (answer.status, answer.json) == (200, {"database": "ok", "broker": "ok"})


def test_not_ready_names_what_is_down(engine: Engine) -> None:
    api = with_probes(engine, database=fail, broker=lambda: True)
    answer = api("GET", "/health/ready")
    assert (answer.status, answer.json["errors"].keys()) == (503, {"database"})
    assert api("GET", "/health/live").status == 200


def test_ready_without_the_broker_as_long_as_requests_are_answered(engine: Engine) -> None:
    api = with_probes(engine, database=lambda: takes_writes(engine), broker=fail)
    answer = api("GET", "/health/ready")
    assert (answer.status, answer.json) == (200, {"database": "ok", "broker": "down"})
    assert api("POST", "/clients/", {"phone": "79123456789"}).status == 201


@pytest.mark.parametrize("fault", [database_faults.disk_full, database_faults.read_only])
def test_not_ready_while_nothing_can_be_written(engine: Engine, database_url: str, fault: Fault) -> None:
    def ready() -> int:
        probe = make_engine(database_url, "probe", pool_size=1)
        status = with_probes(probe, database=lambda: takes_writes(probe))("GET", "/health/ready").status
        probe.dispose()
        return status

    assert ready() == 200
    with fault(database_url):
        assert ready() == 503
    assert ready() == 200


def test_ready_again_when_it_answers_again(engine: Engine) -> None:
    down = threading.Event()
    down.set()
    api = with_probes(engine, database=lambda: fail() if down.is_set() else None)
    assert api("GET", "/health/ready").status == 503
    down.clear()
    deadline = clock.ticks() + 5
    while api("GET", "/health/ready").status != 200:
        assert clock.ticks() < deadline


def test_what_hangs_is_down_and_ties_up_one_thread_only(engine: Engine) -> None:
    asked = []
    free = threading.Event()

    def hang() -> None:
        asked.append(1)
        free.wait(20)

    api = with_probes(engine, database=hang, broker=fail)
    begun = clock.ticks()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api("GET", "/health/ready"), range(8)))
    assert clock.ticks() - begun < 10
    assert {answer.status for answer in answers} == {503}
    assert answers[0].json["errors"].keys() == {"database"}
    assert len(asked) == 1
    free.set()


def test_a_crowd_of_askers_is_one_question(engine: Engine) -> None:
    asked = []
    api = Api(engine, probes={"broker": Probe("broker", lambda: asked.append(1), fresh=60)})
    for _ in range(20):
        assert api("GET", "/health/ready").status == 200
    assert len(asked) == 1


# ---------------------------------------------------------------- the announcer must not matter


def test_what_an_announcer_takes_its_time_over_is_its_own_affair(engine: Engine) -> None:
    """The one in use returns at once; see test_announcer.py. This holds that it is called after the commit."""
    seen = []

    class Looks:
        def announce(self, mailing_id: int) -> None:
            with engine.connect() as connection:
                seen.append(connection.scalar(text("select id from mailings where id = :id"), {"id": mailing_id}))

    app = create_app(engine, Looks(), {}, chores=False)
    answer = app.test_client().post("/mailings/", json=mailing())
    assert seen == [answer.get_json()["id"]]
