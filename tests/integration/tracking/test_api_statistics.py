"""The figures over HTTP."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from dispatcher_service.leading.walk import due_mailings
from shared.clock import now
from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish, HandBack, Retry
from shared.ledger.entries import open_entries
from shared.messages.claim import claim_messages
from shared.messages.close import close_messages
from shared.messages.due import Wanted, read_due
from shared.messages.hints import settle_hints
from shared.messages.record import Verdict, record_verdicts
from shared.messages.rescue import find_lost, rescue_messages
from tests.support.api import Api, mailing, running
from tests.support.books import Books

pytest_plugins = ("tests.support.api_fixture",)

STATES = [str(state) for state in MessageState]


def launched(api: Api, size: int) -> int:
    """A running mailing to that many clients."""
    tag = f"of {size}"
    for number in range(size):
        api.make("/clients/", {"phone": f"79{size:03}{number:06}", "tag": tag})
    mailing_id: int = api.make("/mailings/", running(filter={"tags": [tag]}))["id"]
    assert api.launch(mailing_id) == size
    return mailing_id


def send(api: Api, mailing_id: int, outcomes: Sequence[Any]) -> None:
    """What a dispatcher does: claims the first messages and records (decision, error, ambiguous) for each."""
    with api.engine.begin() as connection, open_entries(connection, 3) as entries:
        claim = claim_messages(
            connection, entries, {mailing_id: due(connection, mailing_id, len(outcomes))}, lease=_LEASE
        )
    assert claim is not None
    assert len(claim.messages) == len(outcomes)
    by_client = sorted(claim.messages, key=lambda message: message.client_id)
    verdicts = [Verdict(message, *outcome) for message, outcome in zip(by_client, outcomes, strict=True)]
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        assert record_verdicts(connection, entries, verdicts, _LEASE) == 0


def due(connection: Connection, mailing_id: int, limit: int) -> list[int]:
    read = read_due(connection, 1, [Wanted(mailing_id, 0, limit, None)], limit)
    return [message_id for group in read.groups.get(0, ()) for message_id in group.ids]


_LEASE = timedelta(seconds=30)
SENT = (Finish(MessageState.SENT), None)
FAILED = (Finish(MessageState.FAILED), Error.REJECTED)
RETRY = (Retry(_LEASE), Error.SERVER_ERROR)
RETRY_NOW = (Retry(timedelta(0)), Error.SERVER_ERROR)


def test_where_the_messages_of_a_mailing_stand(api: Api) -> None:
    mailing_id = launched(api, 5)
    before = now()
    send(api, mailing_id, [SENT, RETRY, FAILED, SENT])
    detail = api.get(f"/mailings/{mailing_id}/detail_statistics/")

    counts = {state: detail[state] for state in STATES if detail[state]}
    assert (detail["mailing_id"], detail["state"], detail["audience"]) == (mailing_id, "running", 5)
    assert counts == {"sent": 2, "retrying": 1, "failed": 1, "pending": 1}
    assert detail["errors"] == {"rejected": 1, "server_error": 1}
    assert before <= datetime.fromisoformat(detail["first_sent_at"]) <= now()
    assert detail["last_sent_at"] == detail["first_sent_at"]  # one batch, one commit

    shown = detail["messages"]
    assert [message["client_id"] for message in shown] == sorted(message["client_id"] for message in shown)
    assert [(message["status"], message["attempts"], message["error"]) for message in shown] == [
        ("sent", 1, None),
        ("retrying", 1, "server_error"),
        ("failed", 1, "rejected"),
        ("sent", 1, None),
        ("pending", 0, None),
    ]
    assert [message["sent_at"] is not None for message in shown] == [True, False, False, True, False]
    assert [message["due_at"] is not None for message in shown] == [False, True, False, False, True]
    assert api.get(f"/mailings/{mailing_id}/")["statistics"] == {name: detail[name] for name in ["audience", *STATES]}


LOST = (Retry(timedelta(0)), Error.TIMED_OUT, True)
NOT_SENT = (HandBack(), None)
REFUSED_TOKEN = (HandBack(), Error.UNAUTHORIZED)


@pytest.mark.parametrize(
    ("outcomes", "repeated"),
    [
        ([RETRY_NOW, SENT], 0),
        ([LOST, SENT], 1),
        ([LOST, LOST, SENT], 2),
        ([LOST, RETRY_NOW, SENT], 2),
        ([LOST, NOT_SENT, NOT_SENT, FAILED], 1),
        ([LOST, NOT_SENT], 0),
        ([LOST, REFUSED_TOKEN], 1),
    ],
)
def test_calls_for_what_the_provider_may_have_already_are_counted(
    api: Api, outcomes: Sequence[Any], repeated: int
) -> None:
    mailing_id = launched(api, 1)
    for outcome in outcomes:
        send(api, mailing_id, [outcome])
        make_due(api)
    assert api.get(f"/mailings/{mailing_id}/detail_statistics/")["repeated"] == repeated


def test_a_call_that_died_with_its_dispatcher_counts_as_one_that_the_provider_may_have_taken(api: Api) -> None:
    mailing_id = launched(api, 1)
    for _ in range(3):
        with api.engine.begin() as connection, open_entries(connection, 2) as entries:
            job = {mailing_id: due(connection, mailing_id, 1)}
            claim = claim_messages(connection, entries, job, lease=timedelta(0))
            assert claim is not None
            assert claim.messages
        with api.engine.begin() as connection, open_entries(connection, 2) as entries:
            assert rescue_messages(connection, entries, 10, find_lost(connection, 1)[mailing_id]) == 1
    assert api.get(f"/mailings/{mailing_id}/detail_statistics/")["repeated"] == 2


def make_due(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(text("update messages set due_at = now() where due_at is not null"))


def test_messages_come_in_pages(api: Api) -> None:
    path = f"/mailings/{launched(api, 5)}/detail_statistics/"
    pages = [api("GET", f"{path}?page={page}&page_size=2") for page in (1, 2, 3, 4)]
    assert [page.total for page in pages] == [5] * 4
    assert [len(page.json["messages"]) for page in pages] == [2, 2, 1, 0]
    assert len({message["id"] for page in pages for message in page.json["messages"]}) == 5
    assert {page.json["audience"] for page in pages} == {5}


def test_messages_in_one_state(api: Api) -> None:
    mailing_id = launched(api, 5)
    send(api, mailing_id, [SENT, FAILED, SENT])
    for state, number in (("sent", 2), ("failed", 1), ("pending", 2), ("expired", 0)):
        answer = api("GET", f"/mailings/{mailing_id}/detail_statistics/?status={state}&page_size=1")
        assert answer.total == number
        assert [message["status"] for message in answer.json["messages"]] == [state] * min(number, 1)
        assert answer.json["audience"] == 5  # the figures are of the whole mailing all the same


def test_totals_are_the_sum_over_all_mailings(api: Api) -> None:
    first, second = launched(api, 3), launched(api, 2)
    scheduled = api.make("/mailings/", mailing(starts_at="2089-01-01T00:00:00Z", ends_at="2090-01-01T00:00:00Z"))
    send(api, first, [SENT, SENT, FAILED])
    send(api, second, [SENT])
    answer = api("GET", "/mailings/general_statistics/")
    totals = {name: answer.json[name] for name in ["audience", *STATES] if answer.json[name]}
    assert totals == {"audience": 5, "sent": 3, "failed": 1, "pending": 1}
    assert answer.total == 3
    rows = answer.json["mailings"]
    assert [(row["mailing_id"], row["state"], row["audience"], row["sent"]) for row in rows] == [
        (first, "running", 3, 2),
        (second, "running", 2, 1),
        (scheduled["id"], "scheduled", 0, 0),
    ]
    assert rows[2].items() >= {"starts_at": scheduled["starts_at"], "ends_at": scheduled["ends_at"]}.items()
    page = api("GET", "/mailings/general_statistics/?page=2&page_size=2")
    assert ([row["mailing_id"] for row in page.json["mailings"]], page.json["audience"]) == ([scheduled["id"]], 5)


def test_without_any_mailing_everything_is_zero(api: Api) -> None:
    nothing = {"audience": 0, "mailings": [], "receipts": None} | dict.fromkeys(STATES, 0)
    assert api.get("/mailings/general_statistics/") == nothing


@pytest.mark.parametrize(
    ("query", "at_fault"),
    [
        ("status=lost", "status"),
        ("status=", "status"),
        ("status=SENT", "status"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=9007199254740992", "page"),
        ("page=9223372036854775808", "page"),
        (f"page={'9' * 3000}", "page"),
        ("page=1.5", "page"),
        ("page=", "page"),
        ("page=%00", "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=x", "page_size"),
    ],
)
def test_queries_that_make_no_sense(api: Api, query: str, at_fault: str) -> None:
    mailing_id = api.make("/mailings/", running())["id"]
    paths = [f"/mailings/{mailing_id}/detail_statistics/"]
    if at_fault != "status":
        paths += ["/clients/", "/mailings/", "/mailings/general_statistics/"]
    for path in paths:
        answer = api("GET", f"{path}?{query}")
        assert (answer.status, answer.at_fault) == (422, {at_fault})


def test_the_furthest_page_is_empty(api: Api) -> None:
    mailing_id = api.make("/mailings/", running())["id"]
    query = f"?page={2**53 - 1}&page_size=100"
    assert api.get(f"/clients/{query}") == []
    assert api.get(f"/mailings/{query}") == []
    assert api.get(f"/mailings/general_statistics/{query}")["mailings"] == []
    assert api.get(f"/mailings/{mailing_id}/detail_statistics/{query}")["messages"] == []


def test_the_totals_are_without_what_was_deleted_whenever_it_ends(api: Api) -> None:
    kept, finished, unfinished = (launched(api, size) for size in (1, 2, 3))
    send(api, finished, [SENT, FAILED])
    end(api, finished)
    assert totals(api) == (6, {"pending": 4, "sent": 1, "failed": 1}, 3)
    assert api("DELETE", f"/mailings/{finished}/").status == 204
    assert totals(api) == (4, {"pending": 4}, 2)
    assert api("DELETE", f"/mailings/{unfinished}/").status == 204
    assert totals(api) == (1, {"pending": 1}, 1)
    with api.engine.begin() as connection, open_entries(connection, 3) as entries:
        close_messages(connection, entries, unfinished, MessageState.CANCELLED, 10)
    assert totals(api) == (1, {"pending": 1}, 1)
    end(api, unfinished)
    assert totals(api) == (1, {"pending": 1}, 1)
    assert api("DELETE", f"/mailings/{kept}/").status == 204
    assert totals(api) == (0, {}, 0)


def end(api: Api, mailing_id: int) -> None:
    """What the leader does when all is final."""
    assert Books(api.engine).finish([mailing_id]) == [mailing_id]


def totals(api: Api) -> tuple[int, dict[str, int], int]:
    """The audience, messages by state, and how many mailings there are."""
    answer = api("GET", "/mailings/general_statistics/")
    assert api("GET", "/mailings/").total == answer.total
    return answer.json["audience"], {state: answer.json[state] for state in STATES if answer.json[state]}, answer.total


def test_a_mailing_that_is_resumed_is_looked_at(api: Api) -> None:
    mailing_id = launched(api, 1)
    assert api("POST", f"/mailings/{mailing_id}/pause/").status == 200
    with api.engine.begin() as connection:
        settle_hints(connection, [mailing_id])
    with api.engine.begin() as connection:
        assert due_mailings(connection) == []
    assert api("POST", f"/mailings/{mailing_id}/resume/").status == 200
    with api.engine.begin() as connection:
        assert [mailing.due for mailing in due_mailings(connection)] == [True]
