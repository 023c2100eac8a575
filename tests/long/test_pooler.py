"""PgBouncer in transaction mode between the service and its database."""

import io
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DisconnectionError, OperationalError

from dispatcher_service.leading.session import own_connection
from sandbox.processes import Processes, free_port
from sandbox.simulator.faults import Faults
from shared.database import session_settings
from shared.database.engine import leads_to_pooler, make_engine, one_statement
from shared.domain.message import MessageState
from shared.migrate import upgrade
from tests.e2e.system import with_status
from tests.long.conftest import RunSystem
from tests.support.api import Answer, Api
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_servers import PostgresServer, one_server

CLIENTS = 3_000

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with one_server() as server:
        yield server


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[str]:
    """HOST:PORT of one that shares few sessions, and takes `options` without doing anything with them."""
    with pgbouncer(server, "ignore_startup_parameters = options", sessions=8) as address:
        yield address


@pytest.fixture
def database(server: PostgresServer) -> str:
    """The name of a new one."""
    name = f"notify_{next(_numbers)}"
    server.ask(f"create database {name}")
    return name


def url(address: str, database: str) -> str:
    return f"postgresql://postgres@{address}/{database}"


# ---------------------------------------------------------------- the whole service


@pytest.mark.parametrize("broker", ["table", "rabbitmq"])
def test_everything_works_behind_it(
    run_system: RunSystem,
    request: pytest.FixtureRequest,
    server: PostgresServer,
    pooler: str,
    database: str,
    broker: str,
) -> None:
    """With DATABASE_DIRECT_URL: one leads, every message goes out once, and a dispatcher that is killed is replaced."""
    broker_url = request.getfixturevalue("rabbitmq_url") if broker == "rabbitmq" else None
    system = run_system(
        url(pooler, database), broker_url, dispatchers=3, DATABASE_DIRECT_URL=server.url(database), DISPATCH_RATE="600"
    )
    system.simulator.set_faults(Faults(latency_ms=50))
    system.fill(CLIENTS)
    mailing_id = system.mail()
    system.until_sent(mailing_id, CLIENTS // 4, within=120)
    leads = [name for name in system.dispatchers if system.metric(name, "feeder_leader")]
    assert len(leads) == 1
    assert system.processes.stop(leads[0]) == 0

    messages = system.until_over(mailing_id, within=120)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert {one.count for one in system.received(mailing_id).values()} == {1}
    assert len([name for name in system.dispatchers if system.metric(name, "feeder_leader")]) == 1


class _Slow(io.BytesIO):
    """A file that takes longer than a transaction may be idle, and asks in the middle."""

    def __init__(self, content: bytes, ask: Callable[[], object]) -> None:
        super().__init__(content)
        self._half, self._ask, self._has_asked = len(content) // 2, ask, False

    def readinto(self, buffer: Any) -> int:
        if self.tell() > self._half and not self._has_asked:
            self._has_asked = True
            time.sleep(3 * SHORT)
            self._ask()
        return super().readinto(buffer)


SHORT = 0.5


def test_a_file_is_taken_once_however_long_it_takes(
    server: PostgresServer, pooler: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(server.url(database))
    monkeypatch.setattr(session_settings, "IDLE_IN_TRANSACTION", SHORT)
    pooled = make_engine(url(pooler, database), "test", is_pooled=True)
    direct = make_engine(server.url(database), "test")
    api = Api(pooled, direct=direct)
    file = b"phone\n" + b"".join(b"%d\n" % phone for phone in range(79_000_000_000, 79_000_030_000))
    sent = {"content_type": "text/csv", "headers": {"Idempotency-Key": "k"}}
    others: list[Answer] = []

    def send(stream: io.BytesIO) -> Answer:
        return api("POST", "/clients/import/", input_stream=stream, **sent)

    with ThreadPoolExecutor(1) as pool:
        first = send(_Slow(file, lambda: others.append(pool.submit(send, io.BytesIO(file)).result())))
    again = send(io.BytesIO(file))
    assert [one.json["type"] for one in others] == ["in-progress"]
    assert (first.status, first.json["created"]) == (200, 30_000)
    assert (again.body, again.headers["Idempotency-Replayed"]) == (first.body, "true")
    with direct.connect() as connection:
        assert connection.scalar(text("select count(*) from pg_locks where locktype = 'advisory'")) == 0
    for engine in (pooled, direct):
        engine.dispose()


def test_nothing_stays_behind_in_its_sessions(run_system: RunSystem, server: PostgresServer, database: str) -> None:
    """Settings of one transaction are not those of somebody else's next one, whoever has the session before."""
    with pgbouncer(server, sessions=3) as address:
        system = run_system(
            url(address, database), None, dispatchers=1, DATABASE_DIRECT_URL=server.url(database), API_WORKERS="1"
        )
        system.fill(200)
        mailing_id = system.mail()
        system.until_over(mailing_id)
        bare = make_engine(url(address, database), "stranger", is_pooled=True)
        stranger = "select name, setting from pg_settings where source = 'session'"
        with ExitStack() as stack:  # all three sessions
            connections = [stack.enter_context(bare.connect()) for _ in range(3)]
            for connection in connections:
                raw = connection.connection.cursor()  # past the settings of our own transactions
                raw.execute(stranger)
                changed = {name for name, _ in raw.fetchall()}
                assert not changed - {"application_name", "client_encoding", "DateStyle", "TimeZone"}
                raw.execute("select current_user")
                assert raw.fetchall() == [("postgres",)]
                raw.connection.rollback()
                assert connection.scalar(text("select current_user")) == f"notification_{database}_service"
        bare.dispose()


# ---------------------------------------------------------------- without a session


REFUSED = "DATABASE_URL leads to a pooler: DATABASE_DIRECT_URL must name PostgreSQL itself"


@pytest.mark.parametrize(
    "module", ["shared.migrate", "dispatcher_service", "dispatcher_service.reporter", "api_service", "shared.ledger"]
)
def test_a_process_that_has_no_session_does_not_start(pooler: str, database: str, module: str) -> None:
    smtp = {"SMTP_URL": "smtp://127.0.0.1:1", "REPORT_FROM": "a@b.example", "REPORT_TO": "a@b.example"}
    arguments = ["repair"] if module == "shared.ledger" else []
    for settings, sentence in (
        ({"DATABASE_URL": url(pooler, database)}, REFUSED),
        (
            {
                "DATABASE_URL": url(pooler, database),
                "DATABASE_DIRECT_URL": url(pooler, database) + "?sslmode=prefer",
            },
            "DATABASE_DIRECT_URL must lead to PostgreSQL itself, and a pooler answers there.",
        ),
    ):
        with Processes() as processes:
            env = {**smtp, **settings, "API_AUTH": "off", "API_PORT": str(free_port())}
            processes.start("refused", module, env, *arguments)
            assert processes.wait("refused", 60) != 0
            assert any(sentence in line for line in processes.output("refused")), processes.output("refused")


def test_a_connection_that_is_to_be_direct_refuses_a_pooler(server: PostgresServer, pooler: str) -> None:
    """However late it comes: the database may have been away when the process looked."""
    assert leads_to_pooler(url(pooler, "postgres"))
    assert not leads_to_pooler(server.url())
    engine = make_engine(url(pooler, "postgres"), "test")
    with pytest.raises(OperationalError, match="DATABASE_DIRECT_URL"):
        engine.connect()
    engine.dispose()


# ---------------------------------------------------------------- transactions, and the leader's session


@pytest.fixture
def pooled(pooler: str) -> Iterator[Engine]:
    engine = make_engine(url(pooler, "postgres"), "test", statement_timeout=0.2, is_pooled=True)
    yield engine
    engine.dispose()


def test_every_transaction_has_its_settings(pooled: Engine) -> None:
    with pooled.connect() as connection:
        for _ in range(2):
            with connection.begin(), pytest.raises(OperationalError, match="statement timeout"):
                connection.execute(text("select pg_sleep(5)"))
            with connection.begin():
                assert connection.scalar(text("show timezone")) == "UTC"
                assert connection.scalar(text("show idle_in_transaction_session_timeout")) == "10s"
        with connection.execution_options(isolation_level="REPEATABLE READ").begin():
            assert connection.scalar(text("show transaction_isolation")) == "repeatable read"
    with one_statement(pooled) as connection:
        assert connection.scalar(text("show statement_timeout")) == "200ms"


def test_a_leader_whose_session_is_taken_notices_it_in_its_next_transaction(pooled: Engine) -> None:
    """Its lock is in a session that somebody else has now."""
    with own_connection(pooled, silence=15, proves=True) as leader, ExitStack() as stack:
        with leader.begin():
            ours = leader.scalar(text("select pg_backend_pid()"))
        other = stack.enter_context(pooled.connect())
        assert other.scalar(text("select pg_backend_pid()")) == ours
        with pytest.raises(DisconnectionError, match="DATABASE_DIRECT_URL"):
            leader.begin()
