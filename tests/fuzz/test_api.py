"""The API against its own document: whatever is sent to it, in whatever order, it answers as the document says.

schemathesis reads the document from the running service and makes the requests: valid ones, ones that break the schema
in one place or many, the borders of every range, and sequences in which later requests use what earlier ones answered.
Both tests print their seed; FUZZ_SEED replays them.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.generation.stateful.state_machine import APIStateMachine

from sandbox.processes import SETTINGS, Processes
from shared.message_state import Error, MessageState
from shared.retry import Decision, Finish, Retry
from tests.fuzz.bounds import SEED, cases
from tests.services.books import FAILED, MINUTE, SENT, Books

pytestmark = pytest.mark.timeout(3600)  # they end by their counts

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def headers() -> Mapping[str, str]:
    """What every request carries."""
    return {}


@pytest.fixture(scope="module")
def service(books_url: str) -> Iterator[str]:
    """The URL of the service as it is deployed. It must not have logged an error, and still stop in good order."""
    lines: list[str] = []
    env = {"DATABASE_URL": books_url, "API_PORT": "0", "LOG_FORMAT": "json"}
    with Processes(lambda _name, line: lines.append(line)) as processes:
        processes.start("api", "api_service", env)
        port = processes.wait_line("api", r'"port": (\d+), "pid"')[1]
        url = f"http://127.0.0.1:{port}"
        processes.wait_http("api", f"{url}/health/ready")
        yield url
        assert processes.stop("api") == 0
    assert [line for line in lines if json.loads(line)["level"] not in ("debug", "info")] == []


def furnish(books: Books) -> None:
    """A mailing with a message in every state that one can be in while it runs."""
    mailing_id, ids = books.queued(6)
    verdicts: list[tuple[Decision, Error | None]] = [
        (SENT, None),
        (FAILED, Error.REJECTED),
        (Finish(MessageState.UNKNOWN), Error.TIMED_OUT),
        (Retry(MINUTE), Error.SERVER_ERROR),
    ]
    claimed = books.claim(mailing_id, ids[:5])
    for (decision, error), message in zip(verdicts, claimed, strict=False):
        assert books.record(decision, [message], error) == 0
    assert len(books.states(mailing_id)) == 6


def test_no_answer_but_those_of_the_document(service: str, books: Books, headers: Mapping[str, str]) -> None:
    furnish(books)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{service}/openapi.json"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(cases(10)), "--seed", str(SEED)),
        "--no-color",
        *(part for header in headers.items() for part in ("--header", ": ".join(header))),
    ]
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    tried = re.search(r"(\d+) generated, \1 passed", run.stdout)
    assert tried, run.stdout
    assert int(tried[1]) > 1000


@pytest.fixture
def answered() -> Counter[tuple[str, int]]:
    """How often each operation gave each status."""
    return Counter()


@pytest.fixture
def machine(
    service: str, books: Books, headers: Mapping[str, str], answered: Counter[tuple[str, int]]
) -> type[APIStateMachine]:
    """Sequences of requests. Each begins with the same database, and ends with a ledger that balances.

    schemathesis' own phase of this kind cannot lay the database aside: it ends as soon as a sequence meets what an
    earlier one has left behind.
    """
    schema = schemathesis.openapi.from_url(
        f"{service}/openapi.json", config=schemathesis.Config.from_path(CONFIG), headers=dict(headers)
    )

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            books.empty()
            furnish(Books(books.engine))

        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"headers": dict(headers)} if headers else {}

        def after_call(self, response: schemathesis.Response, case: schemathesis.Case[Any]) -> None:
            super().after_call(response, case)
            answered[case.operation.label, response.status_code] += 1

        def teardown(self) -> None:
            books.check()

    return Machine


def test_no_sequence_of_requests_leads_astray(
    machine: type[APIStateMachine], answered: Counter[tuple[str, int]]
) -> None:
    bounds = settings(
        max_examples=cases(20),
        stateful_step_count=20,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    print(f"Seed: {SEED}")
    seed(SEED)(machine).run(settings=bounds)
    print(f"Requests: {answered.total()}")
    assert {label for label, status in answered if status != 404} == CHAINED
    assert answered.total() > 200


CHAINED = {
    *("POST /clients/", "GET /clients/"),
    *(f"{method} /clients/{{client_id}}/" for method in ("GET", "PUT", "PATCH", "DELETE")),
    *("POST /mailings/", "GET /mailings/", "GET /mailings/general_statistics/"),
    *(f"{method} /mailings/{{mailing_id}}/" for method in ("GET", "PUT", "PATCH", "DELETE")),
    *(f"POST /mailings/{{mailing_id}}/{action}/" for action in ("pause", "resume", "cancel")),
    "GET /mailings/{mailing_id}/detail_statistics/",
}
"""Operations that use what others answer, or give others something to use."""
