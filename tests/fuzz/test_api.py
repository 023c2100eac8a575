"""The API against its own document: whatever is sent to it, in whatever order, it answers as the document says.

schemathesis reads the document from the running service and makes the requests: valid ones, ones that break the schema
in one place or many, the borders of every range, and sequences in which later requests use what earlier ones answered.
Both tests print their seed; FUZZ_SEED replays them. Each meets the service as it is with keys, and as it is without.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.generation.stateful.state_machine import APIStateMachine
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api_service.access import store
from api_service.web import key
from api_service.web.key import Scope
from sandbox.processes import SETTINGS, Processes
from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, Retry
from tests.fuzz.bounds import SEED, cases
from tests.support.books import FAILED, MINUTE, SENT, Books

pytestmark = pytest.mark.timeout(3600)  # they end by their counts

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")


TOKEN = key.new()
"""A key that opens everything but the keys, of which one would be its own."""


def store_key(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        store.stored(session, TOKEN, "fuzz", Scope.WRITE, None)


@dataclass(frozen=True)
class Service:
    """A running one. headers: what every request to it carries."""

    url: str
    headers: Mapping[str, str]


@pytest.fixture(scope="module", params=["on", "off"])
def service(request: pytest.FixtureRequest, books_url: str, books_engine: Engine) -> Iterator[Service]:
    """With API_AUTH on, as it is deployed, and off: where every request has to have a key, its absence hides what else
    is wrong."""
    store_key(books_engine)
    headers = {"Authorization": f"Bearer {TOKEN}"} if request.param == "on" else {}
    with _running(books_url, API_AUTH=request.param) as url:
        yield Service(url, headers)


@contextmanager
def _running(database_url: str, **settings: str) -> Iterator[str]:
    """It must not have logged an error, and still stop in good order."""
    lines: list[str] = []
    env = {"DATABASE_URL": database_url, "API_PORT": "0", "API_RATE": "0", "LOG_FORMAT": "json", **settings}
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
    mailing_id, ids = books.launched(6)
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


def test_no_answer_but_those_of_the_document(service: Service, books: Books) -> None:
    furnish(books)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{service.url}/openapi.json"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(cases(10)), "--seed", str(SEED)),
        "--no-color",
        *(part for header in service.headers.items() for part in ("--header", ": ".join(header))),
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
def machine(service: Service, books: Books, answered: Counter[tuple[str, int]]) -> type[APIStateMachine]:
    """Sequences of requests. Each begins with the same database, and ends with a ledger that balances.

    schemathesis' own phase of this kind cannot lay the database aside: it ends as soon as a sequence meets what an
    earlier one has left behind.
    """
    document = requests.get(f"{service.url}/openapi.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_path(CONFIG))
    schema.config.update(base_url=service.url, headers=dict(service.headers))
    for operation in schema.analysis.dependency_graph.operations.values():
        # schemathesis takes it for the id of an "After": as nothing makes one, no sequence would begin with a list.
        operation.inputs[:] = [given for given in operation.inputs if given.parameter_name != "after_id"]

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            books.empty()
            books.run("truncate imports, api_keys, kept_answers restart identity")
            store_key(books.engine)
            furnish(Books(books.engine))

        def before_call(self, case: schemathesis.Case[Any]) -> None:
            """Without keys: what is answered once more may have been deleted meanwhile."""
            super().before_call(case)
            if case.headers:
                case.headers.pop("Idempotency-Key", None)

        def after_call(self, response: schemathesis.Response, case: schemathesis.Case[Any]) -> None:
            super().after_call(response, case)
            answered[case.operation.label, response.status_code] += 1

        def validate_response(
            self,
            response: schemathesis.Response,
            case: schemathesis.Case[Any],
            additional_checks: list[Any] | None = None,
            **kwargs: Any,
        ) -> None:
            """Says which key is ours: among headers that were made up it would pass for one of them, so for a wrong one
            that was let in."""
            case.validate_response(
                response,
                additional_checks=additional_checks,
                headers=dict(service.headers),
                transport_kwargs=kwargs or None,
                recorder=self.recorder,
            )

        def teardown(self) -> None:
            books.check()

    return Machine


def test_no_sequence_of_requests_leads_astray(
    machine: type[APIStateMachine], answered: Counter[tuple[str, int]]
) -> None:
    bounds = settings(
        max_examples=cases(40),
        stateful_step_count=20,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    print(f"Seed: {SEED}")
    seed(SEED)(machine).run(settings=bounds)
    print(f"Requests: {answered.total()}")
    led_on = {label for label, status in answered if status != 404}
    assert led_on >= CHAINED
    of_one = Counter(label.partition(" ")[2] for label in led_on)  # all methods of each would take many more requests
    assert of_one["/clients/{client_id}/"] >= 3
    assert of_one["/segments/{segment_id}/"] >= 1
    assert answered.total() > 200


CHAINED = {
    *("POST /clients/", "GET /clients/"),
    *("POST /segments/", "GET /segments/"),
    *("POST /mailings/", "GET /mailings/", "GET /mailings/general_statistics/"),
    *(f"{method} /mailings/{{mailing_id}}/" for method in ("GET", "PUT", "PATCH", "DELETE")),
    *(f"POST /mailings/{{mailing_id}}/{action}/" for action in ("pause", "resume", "cancel")),
    "GET /mailings/{mailing_id}/detail_statistics/",
    *("POST /clients/import/", "GET /clients/imports/"),
    "GET /keys/",
}
"""Operations that use what others answer, or give others something to use."""
