"""Single messages, and what somebody got or did not get."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.database.parts import make_part
from shared.domain.message import Error, MessageState
from shared.domain.retry import SENT, Decision, Finish, Retry
from shared.messages.record import Verdict, record_verdicts
from tests.support.api import HOUR, Api, mailing, running
from tests.support.books import LEASE, SECOND, Books

pytest_plugins = ("tests.support.api_fixture",)

Act = Callable[[Api, int], Any]


@pytest.fixture
def books(api: Api) -> Books:
    """Those of the same database."""
    return Books(api.engine)


def client(api: Api, number: int = 1, **values: Any) -> int:
    return int(api.make("/clients/", {"phone": f"7916{number:07}", **values})["id"])


def launched(api: Api, **values: Any) -> int:
    mailing_id = int(api.make("/mailings/", running(**values))["id"])
    api.launch(mailing_id)
    return mailing_id


def called(books: Books, mailing_id: int, decision: Decision, error: Error | None = None, words: str = "") -> None:
    """Each message of a mailing that is due is called once."""
    claimed = books.claim(mailing_id, books.due(mailing_id), lease=LEASE)
    verdicts = [Verdict(one, decision, error, words=words) for one in claimed]
    assert books.move(record_verdicts, verdicts, SECOND) == 0


def test_a_message_has_every_attempt_with_the_providers_own_words(api: Api, books: Books) -> None:
    client(api)
    mailing_id = launched(api)
    for number in (1, 2):
        called(books, mailing_id, Retry(SECOND), Error.SERVER_ERROR, f"out of order «{number}»")
        books.run("update messages set due_at = now()")
    called(books, mailing_id, SENT)
    message = api.get("/messages/1/")
    assert (message["status"], message["error"], message["provider_words"]) == ("sent", None, None)
    assert (message["phone"], message["mailing_id"], message["client_id"]) == ("79160000001", mailing_id, 1)
    said = [(one["number"], one["error"], one["provider_words"]) for one in message["attempts_made"]]
    assert said == [(1, "server_error", "out of order «1»"), (2, "server_error", "out of order «2»"), (3, None, None)]
    moments = [one["at"] for one in message["attempts_made"]]
    assert moments == sorted(moments)
    assert message["sent_at"] == moments[-1]


def test_lists_say_whom_to_call_and_what_the_provider_said(api: Api, books: Books) -> None:
    client(api)
    mailing_id = launched(api)
    called(books, mailing_id, Finish(MessageState.FAILED), Error.REJECTED, "unknown subscriber")
    for path in (
        f"/messages/?mailing_id={mailing_id}",
        f"/messages/?mailing_id={mailing_id}&status=failed",
        "/messages/?phone=79160000001",
        "/clients/1/messages/",
    ):
        [message] = api.get(path)
        assert (message["phone"], message["provider_words"]) == ("79160000001", "unknown subscriber"), path
    [message] = api.get(f"/mailings/{mailing_id}/detail_statistics/?status=failed")["messages"]
    assert (message["phone"], message["provider_words"]) == ("79160000001", "unknown subscriber")
    assert api.get(f"/messages/?mailing_id={mailing_id}&status=sent") == []


def test_a_clients_history_is_that_of_all_mailings_the_latest_first(api: Api) -> None:
    client(api), client(api, 2)
    mailings = [launched(api) for _ in range(5)]
    for path in ("/clients/1/messages/", "/messages/?phone=79160000001"):
        assert [one["mailing_id"] for one in api.get(path)] == mailings[::-1], path
    pages = []
    for number in (1, 2, 3, 4):
        answer = api("GET", f"/clients/1/messages/?page_size=2&page={number}")
        assert answer.total == 5
        pages.append([one["mailing_id"] for one in answer.json])
    assert pages == [mailings[:2:-1], mailings[2:0:-1], mailings[:1], []]


def walked(api: Api, path: str) -> list[int]:
    """Mailings of all pages, by the links from one to the next."""
    found, path = [], f"{path}after_id=0&page_size=2"
    while path:
        answer = api("GET", path)
        found += [one["mailing_id"] for one in answer.json]
        link = answer.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else ""
    return found


@pytest.mark.parametrize("path", ["/clients/1/messages/?", "/messages/?phone=79160000001&"])
def test_a_history_is_walked_without_a_gap(api: Api, books: Books, path: str) -> None:
    client(api)
    mailings = [launched(api) for _ in range(3)]
    books.run("update parts set closed_at = now()")
    with books.engine.begin() as connection:
        make_part(connection)
    mailings += [launched(api) for _ in range(4)]
    assert walked(api, path) == mailings[::-1]
    second = api("GET", f"{path}page=2&page_size=3")
    assert ([one["mailing_id"] for one in second.json], second.total) == (mailings[3:0:-1], 7)


def test_who_was_deleted_has_their_history_and_nobody_has_none(api: Api) -> None:
    client(api)
    mailing_id = launched(api)
    assert api("DELETE", "/clients/1/").status == 204
    assert [one["mailing_id"] for one in api.get("/clients/1/messages/")] == [mailing_id]
    assert api.get("/messages/?phone=79160000001") == []
    assert api("GET", "/clients/2/messages/").status == 404
    assert api("GET", "/messages/9/").status == 404


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("", "phone"),
        ("?phone=79160000001&mailing_id=1", "phone"),
        ("?phone=79160000001&status=sent", "status"),
        ("?phone=8916", "phone"),
        ("?phone=79160000001&after_id=77", "after_id"),
        ("?client_id=1", "client_id"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, query: str, fault: str) -> None:
    client(api)
    answer = api("GET", f"/messages/{query}")
    assert (answer.status, fault in answer.at_fault) == (422, True)


# ---------------------------------------------------------------- why


def why(api: Api, mailing_id: int, client_id: int = 1) -> tuple[str | None, str]:
    found = api.get(f"/mailings/{mailing_id}/clients/{client_id}/")
    assert (found["mailing_id"], found["client_id"]) == (mailing_id, client_id)
    assert (found["message"] is None) == (found["reason"] is not None)
    return found["reason"] or found["message"]["status"], found["explanation"]


def test_why_before_the_launch(api: Api) -> None:
    client(api, tag="new")
    for_all = api.make("/mailings/", mailing())["id"]
    for_vips = api.make("/mailings/", mailing(filter={"tags": ["vip"]}))["id"]
    reason, words = why(api, for_all)
    assert (reason, "is launched at" in words, "is for them as well" in words) == ("not_launched", True, True)
    reason, words = why(api, for_vips)
    assert (reason, "the tag “vip”, and theirs is “new”" in words) == ("not_launched", True)
    assert api.get(f"/mailings/{for_vips}/clients/1/")["unmatched"] == ["tags"]
    api("POST", f"/mailings/{for_all}/cancel/")
    reason, words = why(api, for_all)
    assert (reason, words) == ("not_launched", "The mailing was cancelled before its launch came to them.")


def test_why_the_filter_left_them_out(api: Api) -> None:
    client(api, tag="new", operator_code="916")
    cases = {"tags": {"tags": ["vip", "gold"]}, "operator_codes": {"operator_codes": ["912"]}}
    for member, wanted in cases.items():
        mailing_id = launched(api, filter=wanted)
        assert api.get(f"/mailings/{mailing_id}/clients/1/")["unmatched"] == [member]
        assert why(api, mailing_id)[0] == "not_matched"
    both = launched(api, filter={"tags": ["vip"], "operator_codes": ["912", "913"]})
    reason, words = why(api, both)
    assert reason == "not_matched"
    assert "the tag “vip”, and theirs is “new”" in words
    assert "the operator codes “912”, “913”, and theirs is “916”" in words
    api("PATCH", "/clients/1/", {"tag": "vip", "operator_code": "912"})
    reason, words = why(api, both)
    assert (reason, "did not at the launch" in words) == ("not_matched", True)


def test_why_an_import_left_them_out(api: Api) -> None:
    client(api)
    body = {"data": b"phone\n79160000002\n", "content_type": "text/csv"}
    import_id = api("POST", "/clients/import/", **body).json["id"]
    mailing_id = launched(api, filter={"imports": [import_id]})
    reason, words = why(api, mailing_id)
    assert (reason, f"none of the imports {import_id} took them" in words) == ("not_matched", True)
    assert why(api, mailing_id, 2)[0] == "pending"


def test_why_those_who_came_later_and_those_who_went(api: Api) -> None:
    client(api)
    mailing_id = launched(api)
    client(api, 2)
    assert why(api, mailing_id, 2)[0] == "joined_later"
    later = launched(api, filter={"tags": ["vip"]})
    api("DELETE", "/clients/1/")
    assert why(api, later, 1)[0] == "deleted"
    assert api("DELETE", "/clients/2/?erase=true").status == 204
    assert why(api, later, 2)[0] == "deleted"
    state, words = why(api, mailing_id, 1)
    assert (state, "the client was deleted" in words) == ("cancelled", True)
    assert api("GET", f"/mailings/{later}/clients/99/").status == 404
    assert api("GET", "/mailings/99/clients/1/").status == 404


def test_why_where_the_rows_are_gone(api: Api, books: Books) -> None:
    client(api)
    mailing_id = launched(api)
    books.run("update mailings set messages_removed_at = now() where id = :id", id=mailing_id)
    books.run("delete from messages")
    assert why(api, mailing_id)[0] == "rows_gone"


WAITING: dict[str, tuple[dict[str, Any], Callable[[Api, int], Any], str]] = {
    "window": (
        {"send_window": {"from": "00:00", "until": "00:01"}},
        lambda api, one: None,
        "waits for the send window",
    ),
    "paused": ({}, lambda api, one: api("POST", f"/mailings/{one}/pause/"), "the mailing is paused"),
    "due": ({}, lambda api, one: None, "is due, and waits for its turn"),
    "cancelled": ({}, lambda api, one: api("POST", f"/mailings/{one}/cancel/"), "is about to be closed"),
}


@pytest.mark.parametrize("case", WAITING)
def test_why_a_message_waits(api: Api, case: str) -> None:
    values, act, told = WAITING[case]
    client(api, timezone="Asia/Kathmandu")  # whose day does not begin with an hour of the test's
    mailing_id = launched(api, **values)
    act(api, mailing_id)
    state, words = why(api, mailing_id)
    assert (state, told in words) == ("pending", True), words


def test_why_a_message_waits_for_its_next_call_and_why_one_failed(api: Api, books: Books) -> None:
    client(api)
    mailing_id = launched(api)
    called(books, mailing_id, Retry(HOUR), Error.TIMED_OUT)
    state, words = why(api, mailing_id)
    assert (state, "waits for its next call, at" in words, "no answer in time" in words) == ("retrying", True, True)
    books.run("update messages set due_at = now()")
    called(books, mailing_id, Finish(MessageState.UNKNOWN), Error.TIMED_OUT, "gateway says maybe")
    state, words = why(api, mailing_id)
    assert (state, "The provider said “gateway says maybe”" in words) == ("unknown", True), words


def test_why_a_message_was_left_out(api: Api) -> None:
    client(api)
    api.make("/suppressions/", {"phone": "79160000001"})
    state, words = why(api, launched(api))
    assert (state, words) == (
        "skipped", "The message was left out: their phone is suppressed: it must not be written to."
    )  # fmt: skip
