"""One version takes the place of the one before, while mailings go out: docs/operations/upgrades.md."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest

from sandbox import deployment
from sandbox.simulator.faults import Faults
from shared import clock
from shared.database import schema
from shared.domain.message import MessageState
from tests.e2e.system import System, with_status
from tests.long.conftest import RunSystem
from tests.support.lock_waits import WRITE, longest_wait
from tests.support.new_database import new_database
from tests.support.server_process import program
from tests.support.waiting import patience

ROOT = Path(__file__).parents[2]

PREVIOUS = {"0037": "598e917"}
"""By its schema, the last commit of each version from which one upgrades without a stop."""

ROWS, FAULTY = 1_000_000, 0.5
"""Messages that lie in the table, and the seconds that an index on so many takes which is made in everybody's way, on a
machine that does nothing else: more than twice what is allowed."""

MOST_LOCKED = 0.2
"""Seconds for which nobody may write to a table: for so long a change of it stands in line, and everybody behind it."""

CLIENTS, RATE = 15_000, 50
"""Of the mailing that lasts longer than the upgrade, and how fast it goes. In the end it is cancelled."""

FEW = 200


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    with new_database(postgres) as url:
        yield url


@pytest.fixture(params=PREVIOUS)
def previous(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The code with that schema."""
    commit, tree = PREVIOUS[request.param], tmp_path / "previous"
    tree.mkdir()
    git = [str(program("git", "git")), "-C", str(ROOT), "-c", "safe.directory=*"]
    if subprocess.run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False).returncode:
        pytest.fail(
            f"The version before, commit {commit}, is not in this checkout: it takes one with its whole history"
            " (GIT_DEPTH: 0; `git fetch --unshallow`).",
            pytrace=False,
        )
    code = subprocess.run(
        [*git, "archive", commit, "api_service", "dispatcher_service", "shared"], check=True, stdout=subprocess.PIPE
    ).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=code, check=True)
    assert max(path.name for path in (tree / "shared/database/migrations/versions").glob("0*"))[:4] == request.param
    return tree


def test_old_processes_go_on_beside_new_ones_on_the_new_schema(
    previous: Path,
    empty_database: str,
    rabbitmq_url: str,
    run_system: RunSystem,
    record_property: Callable[[str, object], None],
) -> None:
    of_old = {"PYTHONPATH": str(previous), "PYTHONSAFEPATH": "1"}  # the latter: not of where they are started
    system = run_system(empty_database, rabbitmq_url, DISPATCH_RATE=str(RATE), **of_old)
    assert version(empty_database) < schema.NEEDED
    lay_down(system)
    system.simulator.set_faults(Faults(latency_ms=100))
    system.fill(CLIENTS, tag="long")
    system.fill(FEW, tag="few")
    running = system.mail(tags=["long"], priority="bulk")
    system.until_sent(running, FEW)
    for name in of_old:
        system.env.pop(name)

    with longest_wait(empty_database, WRITE) as waited:
        deployment.migrate(system.processes, system.env)
    said = f"locked for {waited.seconds:.3f} s at the most ({waited.table})"
    record_property("upgrade", said)
    print(said)
    assert waited.seconds < patience(MOST_LOCKED, at_most=FAULTY), said
    assert version(empty_database) == schema.NEEDED

    by_old = system.mail(tags=["few"])  # of the old API, to old dispatchers alone, on the new schema
    system.until_sent(by_old, FEW)
    few = [by_old]
    for name in system.dispatchers:
        assert system.processes.stop(name) == 0
        system.start_dispatcher(name)
        few.append(system.mail(tags=["few"]))  # of the old API, to dispatchers of both versions
        system.until_sent(few[-1], FEW)
    assert system.processes.stop("api") == 0
    system.start_api()
    few.append(system.mail(tags=["few"]))
    system.until_sent(few[-1], FEW)
    assert system.figures(running)["sent"] < CLIENTS, "all was over before all was replaced"
    system.api.cancel(running)
    for mailing_id in (running, *few):
        messages = system.until_over(mailing_id)
        assert {message["status"] for message in messages.values()} <= {"sent", "cancelled"}
        sent = with_status(messages, MessageState.SENT)
        assert mailing_id == running or sent == messages.keys()
        assert {id: one.count for id, one in system.received(mailing_id).items()} == dict.fromkeys(sent, 1)
        assert {messages[id]["attempts"] for id in sent} == {1}


def lay_down(system: System) -> None:
    """A mailing whose hours come later: its messages lie there."""
    with closing(psycopg2.connect(system.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into clients (phone, operator_code, tag, timezone)"
            " select 79450000000 + n, '945', 'many', 'UTC' from generate_series(1, %s) n",
            (ROWS,),
        )
    opens = clock.now() + timedelta(hours=6)
    hours = f"{opens:%H:%M}", f"{opens + timedelta(hours=1):%H:%M}"
    mailing_id = system.mail(tags=["many"], lasts=86_400, send_window=hours)
    system.until_figures(mailing_id, lambda figures: figures["audience"] == ROWS, "all are there", within=240)


def version(database_url: str) -> str:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select max(version_num) from alembic_version")
        [(found,)] = cursor.fetchall()
        return str(found)
