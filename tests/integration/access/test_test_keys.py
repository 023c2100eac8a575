"""Keys of the scope `test`: they make mailings, which are in no figure of what is really sent, and nothing else."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text

from api_service.web.key import Scope, Token
from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.chores.show_figures import ShowFigures
from dispatcher_service.leading.isolation import Isolation
from shared.domain.message import OPEN_STATES, Error, MessageState
from shared.domain.retry import Finish, Retry
from shared.ledger import breakdown, day, figures
from shared.ledger.slot import Slot
from shared.ledger.totals import totals_difference
from tests.integration.access.test_api_keys import ask, make
from tests.support.api import HOUR, Answer, Api, from_now, mailing, running
from tests.support.books import FAILED, SECOND, SENT, Books

OURS = re.compile(r"/mailings/")
"""What a test key may write to: mailings, and what is done with one of them."""


class Caller:
    """Asks with a key of that scope."""

    def __init__(self, api: Api, token: Token) -> None:
        self._api, self._token = api, token

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {
            "Authorization": f"Bearer {self._token}",
            **{name.replace("_", "-"): it for name, it in headers.items()},
        }
        return self._api(method, path, body, headers=given)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def make(self, **values: Any) -> Any:
        answer = self("POST", "/mailings/", running(**values))
        assert answer.status == 201, answer.body
        return answer.json


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    api = Api(engine, auth=True)
    yield api
    api.assert_balanced()


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


@pytest.fixture
def test(api: Api, engine: Engine) -> Caller:
    return Caller(api, make(engine, Scope.TEST))


@pytest.fixture
def live(api: Api, engine: Engine) -> Caller:
    return Caller(api, make(engine, Scope.WRITE))


# ---------------------------------------------------------------- what it may do


def test_it_changes_nothing_but_mailings(api: Api, engine: Engine, books: Books) -> None:
    """Every operation of the document that is not a GET."""
    token, mailing_id = make(engine, Scope.TEST), books.mailing()
    books.clients(2)
    before = api.contents()
    refused = 0
    for path, methods in api.document()["paths"].items():
        target = re.sub(
            r"\{\w+\}", str(mailing_id), path.replace("{key_id}", "0123456789ab").replace("{name}", "north")
        )
        for method in methods.keys() & {"post", "put", "patch", "delete"}:
            if not methods[method]["security"]:
                continue  # no key is asked for
            answer = ask(api, token, method.upper(), target, {})
            if OURS.match(path):
                assert answer.status in (404, 409, 422), (method, path)  # nothing is said of such a body but that
            else:
                refused += 1
                assert (answer.status, answer.json["type"]) == (403, "scope"), (method, path)
                assert "one of the scope test makes mailings" in answer.json["message"]
    assert refused >= 10
    assert api.contents() == before


def test_what_it_makes_is_marked_and_every_other_thing_is_as_with_any_key(test: Caller, live: Caller) -> None:
    made = test.make(text="Just a try")
    assert (made["test"], made["state"]) == (True, "running")
    path = f"/mailings/{made['id']}/"
    assert test("POST", "/mailings/", running() | {"test": False}).status == 422
    assert test("PATCH", path, {"test": False}).status == 422
    assert test("PUT", path, made | {"test": False}).json["test"] is True
    for action in ("pause", "resume", "cancel"):
        assert test("POST", f"{path}{action}/").json["test"] is True
    assert [one["test"] for one in test.get("/mailings/")] == [True]
    assert test.get(f"{path}detail_statistics/")["test"] is True
    assert [one["test"] for one in test.get("/mailings/general_statistics/")["mailings"]] == [True]
    assert live.make()["test"] is False
    assert test("DELETE", path).status == 204
    assert test.get("/mailings/") == []


def test_what_is_made_of_a_test_is_a_test(books: Books, test: Caller) -> None:
    books.clients(1)
    made = test.make()["id"]
    books.launch(made)
    assert books.record(FAILED, books.claim(made, books.ids(made))) == 0
    clone = test("POST", f"/mailings/{made}/clone/").json
    assert (clone["test"], clone["state"]) == (True, "draft")
    retry = test("POST", f"/mailings/{made}/retry/", {"states": ["failed"], "ends_at": from_now(HOUR)}).json
    assert (retry["test"], retry["retry_of"]) == (True, made)
    books.launch(retry["id"])
    assert books.states(retry["id"]) == {"pending": 1}


def test_whom_a_test_had_can_be_left_out_of_the_next_one(test: Caller, live: Caller) -> None:
    """And of no other mailing: there it is unknown."""
    made = test.make()["id"]
    without = running(filter={"exclude": {"mailings": [made]}})
    for caller, expected in ((test, False), (live, True)):
        answer = caller("POST", "/mailings/preflight/", without)
        assert (answer.status, str(made) in str(answer.json["blockers"])) == (200, expected)
        assert caller("POST", "/mailings/", without).status == (422 if expected else 201)


def test_each_key_sees_the_mailings_of_its_kind_and_no_other_one(books: Books, test: Caller, live: Caller) -> None:
    clients = books.clients(3)
    ours, theirs = test.make()["id"], live.make()["id"]
    messages = {}
    for mailing_id in (ours, theirs):
        books.launch(mailing_id)
        messages[mailing_id] = books.ids(mailing_id)
    phone = books.run("select phone from clients order by id limit 1")[0].phone
    for caller, seen, hidden in ((test, ours, theirs), (live, theirs, ours)):
        assert [one["id"] for one in caller.get("/mailings/")] == [seen]
        assert [one["id"] for one in caller.get("/mailings/?after_id=0&state=running")] == [seen]
        statistics = caller.get("/mailings/general_statistics/")
        assert (statistics["audience"], [one["mailing_id"] for one in statistics["mailings"]]) == (3, [seen])
        history = f"/clients/{clients[0]}/messages/"
        for path in (history, f"/messages/?phone={phone}", f"{history}?format=json", f"{history}?after_id=0"):
            assert [one["mailing_id"] for one in caller.get(path)] == [seen], path
        assert caller.get(f"/messages/{messages[seen][0]}/")["mailing_id"] == seen
        for path in (
            f"/mailings/{hidden}/", f"/mailings/{hidden}/detail_statistics/", f"/mailings/{hidden}/breakdown/",
            f"/mailings/{hidden}/test/", f"/mailings/{hidden}/clients/{clients[0]}/",
            f"/messages/?mailing_id={hidden}", f"/messages/{messages[hidden][0]}/",
        ):  # fmt: skip
            assert caller("GET", path).status == 404, path
        for method, path, body in (
            ("PATCH", f"/mailings/{hidden}/", {"text": "No"}), ("DELETE", f"/mailings/{hidden}/", None),
            ("POST", f"/mailings/{hidden}/cancel/", None),
            ("POST", f"/mailings/{hidden}/test/", {"phones": [str(phone)]}),
        ):  # fmt: skip
            assert caller(method, path, body).status == 404, path
        excluding = running(filter={"exclude": {"mailings": [hidden]}})
        assert caller("POST", "/mailings/", excluding).at_fault == {"filter"}
        assert caller("POST", "/mailings/", running(filter={"exclude": {"mailings": [seen]}})).status == 201


def test_references_of_tests_are_their_own(api: Api, engine: Engine) -> None:
    """What was tried under a name goes out under that name, with a key of the same owner."""
    tokens = [make(engine, scope) for scope in (Scope.TEST, Scope.WRITE)]
    with engine.begin() as connection:
        connection.execute(text("update api_keys set name = 'shop'"))
    for token in tokens:
        caller = Caller(api, token)
        made = caller.make(reference="spring")
        assert caller("POST", "/mailings/", running(reference="spring")).status == 409
        assert [one["id"] for one in caller.get("/mailings/?reference=spring")] == [made["id"]]


def test_the_key_of_a_request_that_comes_again(test: Caller) -> None:
    body = running()
    first, second = (test("POST", "/mailings/", body, Idempotency_Key="once") for _ in range(2))
    assert (first.json, second.headers["Idempotency-Replayed"]) == (second.json, "true")
    assert first.json["test"] is True
    assert len(test.get("/mailings/")) == 1


# ---------------------------------------------------------------- what is really sent does not notice


_BY_TIME = {"waiting_because", "finishes_at", "finishes_in_time"}


def seen(books: Books, live: Caller) -> Mapping[str, Any]:
    """All figures that there are of what is really sent."""
    now = datetime.now(UTC)
    start, end = now - timedelta(days=1), now + timedelta(days=1)
    with books.engine.connect() as connection:
        report = (
            figures.read_day(connection, start, end), figures.read_day_mailings(connection, start, end, 10),
            day.read_quarters(connection, start, end), day.read_repeats(connection, start, end),
            day.read_failed(connection, start, end, 10), breakdown.read_finished(connection, start, end),
        )  # fmt: skip
        assert totals_difference(connection) == {}
    with books.engine.connect() as connection:
        acts = Isolation(connection, Slot("test"))
        ShowFigures().run(Step(acts, ()))
    gauges = {state: REGISTRY.get_sample_value("feeder_messages", {"state": state}) for state in OPEN_STATES}
    mailings = {
        state: REGISTRY.get_sample_value("feeder_mailings", {"state": state})
        for state in ("running", "paused", "scheduled")
    }
    # What goes by the time says nothing of tests.
    mailings_shown = [{name: one[name] for name in one.keys() - _BY_TIME} for one in live.get("/mailings/")]
    lists = {"/mailings/": (mailings_shown, live("GET", "/mailings/").headers["X-Pagination"])}
    return {
        "report": report,
        "statistics": live.get("/mailings/general_statistics/"),
        "lists": lists,
        "messages": gauges,
        "mailings": mailings,
        "standings": books.run("select * from mailing_standings order by mailing_id"),
        "limits": books.run("select * from limits"),
    }


def test_no_figure_of_what_is_really_sent_has_anything_of_a_test(books: Books, test: Caller, live: Caller) -> None:
    """To the digit, wherever a test stands: made, launched, on the wire, retried, final, finished, deleted."""
    books.clients(5)
    theirs = live.make()["id"]
    books.launch(theirs)
    sent, failed, repeated, *_ = books.claim(theirs, books.ids(theirs))
    books.record(SENT, [sent])
    books.record(FAILED, [failed], Error.REJECTED)
    books.record(Retry(HOUR), [repeated], Error.TIMED_OUT)  # what is said of it does not change meanwhile
    before = seen(books, live)
    assert before["statistics"]["audience"] == 5

    def same(where: str) -> None:
        assert seen(books, live) == before, where

    made = test.make(filter={})["id"]
    later = test("POST", "/mailings/", mailing()).json["id"]
    same("made")
    books.launch(made)
    same("launched")
    claimed = books.claim(made, books.ids(made))
    same("on the wire")
    books.record(SENT, claimed[:2])
    books.record(FAILED, claimed[2:3], Error.REJECTED)
    books.record(Retry(-SECOND), claimed[3:], Error.TIMED_OUT)
    same("called")
    books.record(Finish(MessageState.UNKNOWN), books.claim(made, books.ids(made)), Error.TIMED_OUT)
    same("final")
    assert test.get("/mailings/general_statistics/")["unknown"] == 2
    assert books.finish([made]) == [made]
    same("finished")
    assert test.get("/mailings/general_statistics/")["sent"] == 2
    assert test("DELETE", f"/mailings/{made}/").status == 204
    assert test("DELETE", f"/mailings/{later}/").status == 204
    assert books.finish([later]) == [later]
    same("deleted")
    assert test.get("/mailings/general_statistics/")["audience"] == 0
    books.check()
