"""A mailing is tried out on a few phones: `POST /mailings/{id}/test/`."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Faults
from shared.domain.message import Error
from shared.domain.receipt import Receipt, ReceiptState
from shared.messages.receipts import take_receipts
from tests.support.api import HOUR, Answer, Api, from_now, mailing, running
from tests.support.books import FAILED, SENT, Books
from tests.support.dispatching import Dispatcher
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_fixture", "tests.support.provider")

PHONES = [f"7912000000{number}" for number in range(6)]


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


@pytest.fixture
def people(api: Api) -> list[int]:
    """Clients with these phones, by their ids."""
    return [api.make("/clients/", {"phone": phone})["id"] for phone in PHONES]


def made(api: Api, **values: Any) -> str:
    """The path of a mailing that starts tomorrow."""
    values = {"starts_at": from_now(24 * HOUR), "ends_at": from_now(25 * HOUR), **values}
    return f"/mailings/{api.make('/mailings/', mailing(**values))['id']}/"


def tried(api: Api, path: str, *phones: str, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return api("POST", f"{path}test/", {"phones": list(phones)}, headers=given)


def shown(api: Api, path: str) -> Any:
    return api.get(f"{path}test/")


def test_what_the_mailing_would_send_now_goes_to_these_and_to_nobody_else(
    api: Api, books: Books, people: list[int]
) -> None:
    path = made(api, text="Hello", send_window={"from": "03:00", "until": "03:01"}, priority="bulk")
    assert shown(api, path) == []
    answer = tried(api, path, PHONES[3], PHONES[1])
    assert answer.status == 202
    assert [(one["client_id"], one["phone"], one["status"]) for one in answer.json["messages"]] == [
        (people[1], PHONES[1], "pending"),
        (people[3], PHONES[3], "pending"),
    ]
    assert answer.json["text"] == "Hello"
    assert shown(api, path) == [answer.json]
    row = books.run("select * from mailings where trial_of is not null")[0]
    assert (row.text, row.priority, row.window_from, row.test, row.audience) == ("Hello", "urgent", None, False, 2)
    assert api.announced == [1, row.id]
    claimed = books.claim(row.id, books.ids(row.id))
    assert [message.text for message in claimed] == ["Hello", "Hello"]


def test_it_shows_what_became_of_them_with_the_words_of_the_provider(
    api: Api, books: Books, people: list[int], engine: Engine
) -> None:
    path = made(api)
    first = tried(api, path, *PHONES[:2]).json["messages"]
    accepted, refused = books.claim(2, books.ids(2))
    books.record(SENT, [accepted])
    books.record(FAILED, [refused], Error.REJECTED)
    books.run("update attempts set words = 'unknown subscriber'")
    [trial] = shown(api, path)
    assert [one["id"] for one in trial["messages"]] == [one["id"] for one in first]
    assert [(one["status"], one["error"], one["provider_words"]) for one in trial["messages"]] == [
        ("sent", None, None),
        ("failed", "rejected", "unknown subscriber"),
    ]
    assert trial["messages"][0]["sent_at"] is not None
    assert api.get(f"/messages/{first[1]['id']}/")["attempts_made"][0]["provider_words"] == "unknown subscriber"


def test_it_shows_what_the_provider_says_since(api: Api, books: Books, people: list[int]) -> None:
    path = made(api)
    [message] = tried(api, path, PHONES[0]).json["messages"]
    books.record(SENT, books.claim(2, books.ids(2)))
    assert shown(api, path)[0]["messages"][0]["receipt"] is None
    books.move(take_receipts, "seed", [Receipt(ReceiptState.DELIVERED, message["id"])])
    assert shown(api, path)[0]["messages"][0]["receipt"] == "delivered"
    assert not any((api.get("/mailings/general_statistics/")["receipts"] or {}).values())
    books.check()


def test_the_last_ten_are_shown_each_with_the_text_of_its_time(api: Api, people: list[int]) -> None:
    path = made(api, text="0")
    for number in range(1, 13):
        assert api("PATCH", path, {"text": str(number)}).status == 200
        assert tried(api, path, PHONES[number % 6]).status == 202
    assert [trial["text"] for trial in shown(api, path)] == [str(number) for number in range(12, 2, -1)]
    assert all(len(trial["messages"]) == 1 for trial in shown(api, path))


def test_a_suppressed_phone_is_left_out_with_its_reason(api: Api, books: Books, people: list[int]) -> None:
    api.make("/suppressions/", {"phone": PHONES[0]})
    path = made(api)
    [left_out, waits] = tried(api, path, *PHONES[:2]).json["messages"]
    assert (left_out["status"], left_out["error"]) == ("skipped", "opted_out")
    assert waits["status"] == "pending"
    api.make("/suppressions/", {"phone": PHONES[1]})
    assert [one["status"] for one in shown(api, path)[0]["messages"]] == ["skipped", "skipped"]
    [only] = tried(api, path, PHONES[0]).json["messages"]
    assert only["status"] == "skipped"
    assert books.finish([2, 3]) == [2, 3]


WRONG: list[tuple[Any, Any]] = [
    ({}, ["phones"]),
    ({"phones": []}, ["phones"]),
    ({"phones": PHONES}, ["phones"]),
    ({"phones": [PHONES[0], PHONES[0]]}, ["phones"]),
    ({"phones": PHONES[0]}, ["phones"]),
    ({"phones": None}, ["phones"]),
    ({"phones": ["123"]}, ["phones"]),
    ({"phones": [79120000000]}, ["phones"]),
    ({"phones": [PHONES[0], "79990000000"]}, ["phones"]),
    ({"phones": [PHONES[0]], "text": "Another"}, ["text"]),
    ({"phones": [PHONES[0]], "client_id": 77}, ["client_id"]),
    ({"phones": [PHONES[0]], "client_id": 0}, ["client_id"]),
    ({"phones": [PHONES[0]], "client_id": None}, ["client_id"]),
]


@pytest.mark.parametrize(("body", "at_fault"), WRONG)
def test_what_is_refused_sends_nothing(api: Api, people: list[int], body: Any, at_fault: list[str]) -> None:
    path = made(api)
    before, announced = api.contents(), list(api.announced)
    answer = api("POST", f"{path}test/", body)
    assert (answer.status, sorted(answer.at_fault)) == (422, at_fault)
    assert api.contents() == before
    assert api.announced == announced


def test_a_personal_text_is_made_of_the_values_of_each_or_of_one_of_them(
    api: Api, books: Books, people: list[int]
) -> None:
    api.make("/clients/", {"phone": "79120000009", "attributes": {"name": "{{ Anna }}"}})
    assert api("PATCH", f"/clients/{people[0]}/", {"attributes": {"name": "Boris"}}).status == 200
    path = made(api, text="Hello {{ name }}!")
    anna = people[-1] + 1
    assert tried(api, path, *PHONES[:2]).json["text"] == "Hello {{ name }}!"
    assert [message.text for message in books.claim(2, books.ids(2))] == ["Hello Boris!"]
    [boris, nameless] = shown(api, path)[0]["messages"]
    assert (boris["status"], nameless["status"], nameless["error"]) == ("sending", "skipped", "missing_value")
    answer = api("POST", f"{path}test/", {"phones": PHONES[:2], "client_id": anna})
    assert answer.json["text"] == "Hello {{ Anna }}!"
    assert [message.text for message in books.claim(3, books.ids(3))] == ["Hello {{ Anna }}!"] * 2
    answer = api("POST", f"{path}test/", {"phones": PHONES[:2], "client_id": people[1]})
    assert answer.json["errors"] == {"json": {"client_id": ["There is no value of “name”."]}}


def test_a_phone_that_no_client_has_is_named(api: Api, people: list[int]) -> None:
    answer = tried(api, made(api), PHONES[0], "79990000000")
    assert answer.json["errors"] == {
        "json": {"phones": {"1": ["No client has this phone: add them to the directory first."]}}
    }


@pytest.mark.parametrize("end", ["cancelled", "over"])
def test_a_mailing_that_has_ended(api: Api, people: list[int], end: str) -> None:
    path = made(api)
    tried(api, path, PHONES[0])
    api.execute(
        "update mailings set cancelled_at = now() where trial_of is null"
        if end == "cancelled"
        else "update mailings set starts_at = now() - interval '2 h', ends_at = now() - interval '1 h'"
        " where trial_of is null"
    )
    answer = tried(api, path, PHONES[0])
    assert (answer.status, answer.json["type"]) == (409, "too-late")
    assert len(shown(api, path)) == 1  # what was tried can be seen


def test_it_can_be_had_of_a_mailing_that_runs_or_is_paused(api: Api, people: list[int]) -> None:
    path = f"/mailings/{api.make('/mailings/', running())['id']}/"
    assert tried(api, path, PHONES[0]).status == 202
    assert api("POST", f"{path}pause/").status == 200
    assert tried(api, path, PHONES[0]).status == 202


def test_a_draft_sends_what_it_says_now_and_stays_one(api: Api, books: Books, people: list[int]) -> None:
    draft = api.make("/mailings/", {"text": "First words", "name": "Sale", "draft": True})
    path = f"/mailings/{draft['id']}/"
    assert tried(api, path, PHONES[0]).json["text"] == "First words"
    assert api("PATCH", path, {"text": "Second thoughts"}).status == 200
    assert tried(api, path, PHONES[0]).json["text"] == "Second thoughts"
    assert [message.text for message in books.claim(3, books.ids(3))] == ["Second thoughts"]
    assert api.get(path)["state"] == "draft"
    assert books.run("select name, draft from mailings where trial_of is not null") == [("", False)] * 2


def test_there_is_no_such_mailing(api: Api, people: list[int]) -> None:
    path = made(api)
    tried(api, path, PHONES[0])
    trial = "/mailings/2/"  # which nobody sees as a mailing
    for missing in ("/mailings/77/", trial):
        assert tried(api, missing, PHONES[0]).status == 404
        assert api("GET", f"{missing}test/").status == 404
    assert api("GET", trial).status == 404
    assert api("DELETE", trial).status == 404
    assert api("POST", f"{trial}cancel/").status == 404
    excluding = mailing(filter={"exclude": {"mailings": [2]}})
    assert api("POST", "/mailings/", excluding).at_fault == {"filter"}
    assert api("DELETE", path).status == 204
    assert tried(api, path, PHONES[0]).status == 404


def test_no_list_and_no_figure_has_it(api: Api, books: Books, people: list[int]) -> None:
    path = made(api)
    figures = [f"/mailings/{rest}" for rest in ("", "?after_id=0", "general_statistics/", "1/detail_statistics/")]
    before = [api.get(path) for path in figures]
    tried(api, path, *PHONES[:2])
    assert [api.get(path) for path in figures] == before
    books.record(SENT, books.claim(2, books.ids(2)))
    assert books.finish([2]) == [2]
    assert [api.get(path) for path in figures] == before
    books.check()
    history = api.get(f"/clients/{people[0]}/messages/")
    assert [one["status"] for one in history] == ["sent"], "they were written to, and whoever asks is told"


def test_a_request_that_comes_again_sends_nothing_again(api: Api, people: list[int]) -> None:
    path = made(api)
    first, second = (tried(api, path, PHONES[0], Idempotency_Key="once") for _ in range(2))
    assert (second.status, second.json, second.headers["Idempotency-Replayed"]) == (202, first.json, "true")
    assert tried(api, path, PHONES[1], Idempotency_Key="once").json["type"] == "idempotency-key-reused"
    assert len(shown(api, path)) == 1
    assert api.announced == [1, 2]


def test_two_at_once_send_two(api: Api, people: list[int]) -> None:
    path, ready = made(api), threading.Barrier(4)

    def send(_: int) -> int:
        ready.wait(10)
        return tried(api, path, *PHONES[:5]).status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [202] * 4
    assert [len(trial["messages"]) for trial in shown(api, path)] == [5] * 4


def test_the_audit_has_how_many_and_no_phones(api: Api, engine: Engine, people: list[int]) -> None:
    tried(api, made(api), *PHONES[:3])
    line = api.get("/audit/?action=test")[0]
    assert (line["thing"], line["thing_id"], line["after"]) == ("mailing", "1", {"phones": 3})
    assert "7912" not in str(line)


def test_who_is_erased_leaves_no_phone(api: Api, people: list[int]) -> None:
    path = made(api)
    tried(api, path, PHONES[0])
    assert api("DELETE", f"/clients/{people[0]}/?erase=true").status == 204
    [message] = shown(api, path)[0]["messages"]
    assert (message["phone"], message["status"]) == (None, "cancelled")


def test_messages_that_are_not_kept_any_more(api: Api, people: list[int]) -> None:
    path = made(api)
    tried(api, path, PHONES[0])
    api.execute("update mailings set messages_removed_at = now() where trial_of is not null")
    assert [trial["messages"] for trial in shown(api, path)] == [[]]


# ---------------------------------------------------------------- with a provider


def test_it_goes_through_the_provider_at_once_whatever_else_waits(
    api: Api, books: Books, people: list[int], simulator: Simulator, database_url: str
) -> None:
    """Beside a mailing that has all that DISPATCH_RATE allows."""
    books.clients(2_000)
    many = int(api.make("/mailings/", running(priority="normal"))["id"])
    path = made(api)
    with Dispatcher(database_url, simulator, feeds=True, rate=20.0):
        wait_until(lambda: books.states(many).get("sent"))
        ids = [one["id"] for one in tried(api, path, *PHONES[:2]).json["messages"]]
        wait_until(lambda: [one["status"] for one in shown(api, path)[0]["messages"]] == ["sent", "sent"], 20)
        wait_until(lambda: books.run("select finished_at from mailings where trial_of is not null")[0].finished_at)
    assert simulator.received().keys() >= set(ids)
    books.check()


def test_what_the_provider_refuses(
    api: Api, books: Books, people: list[int], simulator: Simulator, database_url: str
) -> None:
    simulator.set_faults(Faults(status=400))
    path = made(api)
    with Dispatcher(database_url, simulator, feeds=True):
        tried(api, path, PHONES[0])
        wait_until(lambda: shown(api, path)[0]["messages"][0]["status"] == "failed")
    assert shown(api, path)[0]["messages"][0]["provider_words"]
