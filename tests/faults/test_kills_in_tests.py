"""`kill -9` of dispatchers while tests go: nothing of them is lost, and nothing of them reaches the provider."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from notification_client import ApiClient
from sandbox import deployment, directory
from sandbox.numbering import Client
from sandbox.processes import free_port
from shared.domain.message import OPEN_STATES
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.faults.stage import DISPATCHER, Stage
from tests.faults.test_kills import SHORT_LEASE
from tests.faults.witness import Witness
from tests.support.waiting import patience

KILLS = 6
OF_EACH = 150
ENDS = {
    0: {"sent"},
    1: {"failed", "unknown"},  # unknown: a dispatcher was killed with an earlier call of it
    2: {"sent"},
    3: {"unknown"},
    4: {"failed", "unknown"},
    7: {"sent"},
}


def people(system: System) -> None:
    """So many with each of the digits, and one thousand to whom something is really sent."""
    phones = [f"79{prefix:05}{digits:04}" for digits in ENDS for prefix in range(OF_EACH)]
    directory.fill(system.database_url, [Client(phone, phone[1:4], "UTC", "try") for phone in phones])
    system.fill(1_000, tag="live")


@contextmanager
def with_test_key(system: System) -> Iterator[ApiClient]:
    """An API that asks for keys, beside the system's own, and a client of it that has a test key."""
    processes, env = system.processes, {**system.env, "API_PORT": str(free_port()), "API_AUTH": "on"}
    processes.start("keys", "api_service", env, "keys", "create", "--name", "try", "--scope", "test")
    key = processes.wait_line("keys", r"^nsk_\S+$")[0]
    assert processes.wait("keys", 30) == 0
    url = deployment.start_api(processes, env, name="api-with-keys")
    with ApiClient(url, key=key) as client:
        yield client
    processes.stop("api-with-keys")


def test_dispatchers_are_killed_while_tests_go(start_system: StartSystem, chance: random.Random) -> None:
    system = start_system("table", dispatchers=2, module=DISPATCHER, RETRY_ATTEMPTS="4", **SHORT_LEASE)
    people(system)
    with Witness(system.database_url) as witness, with_test_key(system) as tests:
        stage = Stage(system, witness, chance)
        mailing_id = system.mail(api=tests, tags=["try"])
        live = system.mail(tags=["live"])
        system.until(lambda: tests.detail(mailing_id, page_size=1)["sending"], "tests are on their way")
        for _ in range(KILLS):
            stage.kill_dispatcher()
            time.sleep(chance.uniform(0.2, 1.0))
            stage.look()
        assert any(tests.detail(mailing_id, page_size=1)[state] for state in OPEN_STATES), "all was over by then"
        system.until(lambda: tests.mailing(mailing_id)["state"] == "finished", "the test is over", patience(120))
        messages = list(tests.messages(mailing_id))
        assert Counter(int(one["phone"][-4:]) for one in messages) == dict.fromkeys(ENDS, OF_EACH)
        wrong = [one for one in messages if one["status"] not in ENDS[int(one["phone"][-4:])]]
        assert wrong == []
        figures = tests.detail(mailing_id, page_size=1)
        assert (
            figures["audience"]
            == len(messages)
            == sum(figures[state] for state in Counter(one["status"] for one in messages))
        )
        system.until_over(live)
        assert system.figures(live)["sent"] == 1_000
        assert not system.simulator.received().keys() & {one["id"] for one in messages}
        witness.testify()
        assert system.api.statistics()["audience"] == 1_000
