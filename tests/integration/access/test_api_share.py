"""What one key may use up, and that the others do not notice."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests
from sqlalchemy import Engine, event

from api_service.web.key import Scope
from tests.support.api import Api, running
from tests.support.database_faults import locked
from tests.support.locked_server import bearer, locked_server, make_key
from tests.support.waiting import wait_until

GREEDY = 64  # connections
HALF = 4  # of eight threads


def test_a_key_that_asks_for_much_leaves_half_of_the_threads_to_others(engine: Engine, database_url: str) -> None:
    """Every request of the greedy one takes as long as the lock."""
    greedy, other = make_key(engine, Scope.READ), make_key(engine, Scope.WRITE)
    with ExitStack() as stack:
        server = stack.enter_context(locked_server(database_url))
        lock = ExitStack()
        lock.enter_context(locked(database_url, "mailings"))
        stack.callback(lock.close)
        answers: list[requests.Response] = []

        def ask() -> None:
            answers.append(requests.get(f"{server.url}/mailings/", headers=bearer(greedy), timeout=60))

        crowd = [threading.Thread(target=ask) for _ in range(GREEDY)]
        for one in crowd:
            one.start()
        wait_until(lambda: len(answers) == GREEDY - HALF)
        assert {answer.status_code for answer in answers} == {429}
        assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
        assert answers[0].json()["message"] == "4 requests with this key are under way here already."

        for number in range(10):
            body = {"phone": f"7912000{number:04}"}
            assert requests.post(f"{server.url}/clients/", json=body, headers=bearer(other), timeout=60).ok
            assert requests.get(f"{server.url}/health/live", timeout=60).ok
        assert len(answers) == GREEDY - HALF, "they were answered while the greedy one's were not"

        lock.close()
        for one in crowd:
            one.join(30)
        assert Counter(answer.status_code for answer in answers) == {429: GREEDY - HALF, 200: HALF}
        assert f'api_refused_total{{reason="share"}} {GREEDY - HALF}.0' in server.metrics()
        for _ in range(10):  # what was under way is over
            assert requests.get(f"{server.url}/mailings/", headers=bearer(greedy), timeout=60).status_code == 200


def test_a_request_that_fails_gives_its_place_back(engine: Engine) -> None:
    api = Api(engine, auth=True, threads=1)
    reader = bearer(make_key(engine, Scope.READ))
    api.execute("alter table mailings rename to lost")
    for _ in range(3):
        assert api("GET", "/mailings/", headers=reader).status == 500
    api.execute("alter table lost rename to mailings")
    for path, status in (("/mailings/", 200), ("/mailings/?page=0", 422), ("/nothing", 404), ("/mailings/7/", 404)):
        assert api("GET", path, headers=reader).status == status
    assert api("POST", "/mailings/", {}, headers=reader).status == 403
    assert api("GET", "/mailings/", headers=reader).status == 200


# ---------------------------------------------------------------- pages behind the end


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    yield Api(engine)
    engine.dispose()


@pytest.fixture
def mailing_id(api: Api) -> int:
    """Of three messages, with three clients, two mailings and three imports beside it."""
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000000{number}"})
        api.execute("insert into imports (name) values ('crm')")
    mailing_id: int = api.make("/mailings/", running())["id"]
    api.make("/mailings/", running())
    assert api.launch(mailing_id) == 3
    return mailing_id


LISTS = [
    "/clients/?",
    "/mailings/?",
    "/mailings/general_statistics/?",
    "/clients/imports/?",
    "/clients/imports/?name=crm&",
    "/mailings/{}/detail_statistics/?",
    "/mailings/{}/detail_statistics/?status=pending&",
]


def test_a_page_behind_the_end_is_not_looked_for(api: Api, mailing_id: int) -> None:
    statements: list[str] = []
    event.listen(api.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    for path in (path.format(mailing_id) for path in LISTS):
        statements.clear()
        total = api("GET", path).total
        assert any("OFFSET" in statement for statement in statements), "a page is found with one"
        for page in (total + 1, 1000, 2**53 - 1):
            statements.clear()
            answer = api("GET", f"{path}page={page}&page_size=1")
            assert (answer.status, answer.total) == (200, total), path
            assert not [statement for statement in statements if "OFFSET" in statement], path


def test_the_pages_together_are_the_list_from_whichever_end_they_are_reached(api: Api, mailing_id: int) -> None:
    for path in (path.format(mailing_id) for path in LISTS):
        whole = items(api, f"{path}page_size=100")
        assert whole == sorted(whole, reverse="imports" in path)
        assert len(whole) >= 2
        for size in (1, 2):
            pages = [items(api, f"{path}page_size={size}&page={page}") for page in range(1, 5)]
            assert [one for page in pages for one in page] == whole, path


def items(api: Api, path: str) -> list[int]:
    answer = api.get(path)
    found = answer if isinstance(answer, list) else answer.get("messages", answer.get("mailings"))
    return [item.get("id", item.get("mailing_id")) for item in found]


def test_what_is_added_meanwhile_shifts_no_page(api: Api, mailing_id: int) -> None:
    """The total and the rows are of one moment, also of a page that is reached from the end."""
    statements: list[str] = []

    def add(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "OFFSET" in statement and not statements:
            statements.append(statement)
            api.make("/mailings/", running())

    event.listen(api.engine, "before_cursor_execute", add)
    for path in ("/mailings/?", "/mailings/general_statistics/?"):
        statements.clear()
        last = api.execute("select count(*) from mailings")
        assert items(api, f"{path}page={last}&page_size=1") == [mailing_id + last - 1], path
        assert statements
