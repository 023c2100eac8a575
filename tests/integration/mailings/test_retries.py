"""A retry: exactly those of a mailing that ended so, and nobody whom another retry reaches."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from shared.audience.named import NAMED_MAILINGS
from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish
from shared.ledger.entries import open_entries
from shared.messages.create import create_messages
from tests.support.api import HOUR, Api, from_now
from tests.support.books import FAILED, SENT, Books

UNKNOWN = Finish(MessageState.UNKNOWN)
Body = dict[str, Any]


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def asked(*states: str, **values: Any) -> Body:
    return {"states": list(states) or ["failed"], "ends_at": from_now(HOUR), **values}


def retry(api: Api, mailing_id: int, *states: str, **values: Any) -> int:
    """The id of a new one."""
    return int(api.make(f"/mailings/{mailing_id}/retry/", asked(*states, **values))["id"])


def clients(books: Books, mailing_id: int) -> list[int]:
    """Who has a message of it."""
    rows = books.run("select client_id from messages where mailing_id = :id order by client_id", id=mailing_id)
    return [row.client_id for row in rows]


def end(
    books: Books, mailing_id: int, outcome: Finish = SENT, error: Error | None = None, *, first: int = 1000
) -> None:
    """The first of its messages that wait end so."""
    rows = books.run(
        "select id from messages where mailing_id = :id and status = 'pending' order by id limit :first",
        id=mailing_id, first=first,
    )  # fmt: skip
    messages = books.claim(mailing_id, [row.id for row in rows])
    assert books.record(outcome, messages, error) == 0


@pytest.fixture
def source(books: Books) -> int:
    """To ten clients: 1 to 3 failed, 4 is unknown, 5 to 7 sent, 8 to 10 wait."""
    mailing_id, _ = books.launched(10)
    end(books, mailing_id, FAILED, Error.REJECTED, first=2)
    end(books, mailing_id, FAILED, Error.PROVIDER_DOWN, first=1)
    end(books, mailing_id, UNKNOWN, Error.TIMED_OUT, first=1)
    end(books, mailing_id, SENT, first=3)
    return mailing_id


@pytest.mark.parametrize(
    ("states", "errors", "reached"),
    [
        (["failed"], [], [1, 2, 3]),
        (["failed"], ["rejected"], [1, 2]),
        (["failed"], ["provider_down", "timed_out"], [3]),
        (["failed", "unknown"], [], [1, 2, 3, 4]),
        (["unknown"], [], [4]),
        (["failed", "expired", "cancelled", "skipped"], [], [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("span", [1, 2, 1000])
def test_it_goes_to_exactly_those_that_ended_so(
    books: Books, api: Api, source: int, states: list[str], errors: list[str], reached: list[int], span: int
) -> None:
    """Also while the first is still running, in slices of any size."""
    mailing_id = retry(api, source, *states, errors=errors)
    books.launch(mailing_id, span)
    assert clients(books, mailing_id) == reached
    assert books.states(mailing_id) == {"pending": len(reached)}


def test_it_is_a_mailing_as_any_other(books: Books, api: Api, source: int) -> None:
    books.run("update mailings set name = 'Sale', name_key = 'sale', priority = 'bulk', tags = '{vip}'")
    made = api.make(f"/mailings/{source}/retry/", asked("failed", "expired", errors=["rejected"]))
    first = api.get(f"/mailings/{source}/")
    same = ("name", "text", "priority", "filter", "send_window")
    assert {name: made[name] for name in same} == {name: first[name] for name in same}
    assert (made["retry_of"], made["retry_states"], made["retry_errors"]) == (
        source,
        ["failed", "expired"],
        ["rejected"],
    )
    assert (made["state"], made["reference"], made["draft"]) == ("running", None, False)
    assert api.announced == [made["id"]]
    path = f"/mailings/{made['id']}/"
    assert api("PUT", path, api.get(path)).status == 200
    assert api("PATCH", path, {"filter": {"tags": ["new"]}}).json["type"] == "frozen"
    assert [one["id"] for one in api.get(f"/mailings/?retry_of={source}")] == [made["id"]]
    detail = api.get(f"/mailings/{source}/detail_statistics/")
    assert (detail["retry_of"], detail["retries"]) == (None, [made["id"]])
    assert api.get(f"{path}detail_statistics/")["retry_of"] == source
    noted = api.get(f"/audit/?thing=mailing&thing_id={made['id']}&page_size=100")[-1]
    assert (noted["action"], noted["after"]["retry_of"], noted["after"]["retry_states"]) == (
        ("create", source, ["failed", "expired"])
    )


def test_its_hours_are_those_of_its_mailing_unless_others_are_given(books: Books, api: Api) -> None:
    source, _ = books.launched(1, window=("09:00", "21:00"))
    books.run("update messages set status = 'failed', due_at = null")
    books.run("update mailing_counters set pending = 0, failed = 1")
    books.run("update ledger_totals set pending = 0, failed = 1 where audience > 0")
    books.run(
        "insert into tallies (mailing_id, quarter, slot, name, count) values (:id, now(), 1, 'failed', 1)", id=source
    )
    window = {"from": "09:00", "until": "21:00"}
    assert api.make(f"/mailings/{source}/retry/", asked())["send_window"] == window
    assert api.make(f"/mailings/{source}/retry/", asked(send_window=None))["send_window"] is None
    night = {"from": "22:00", "until": "06:00"}
    assert api.make(f"/mailings/{source}/retry/", asked(send_window=night))["send_window"] == night


def test_a_look_at_it_beforehand_says_that_nobody_knows_yet(api: Api, source: int) -> None:
    later = retry(api, source, starts_at=from_now(HOUR / 2))
    assert api("GET", f"/mailings/{later}/preflight/").json["type"] == "too-early"


def test_who_is_in_another_retry_is_left_out_until_it_has_failed_for_them(books: Books, api: Api, source: int) -> None:
    first = retry(api, source)
    books.launch(first)
    end(books, first, FAILED, Error.REJECTED, first=1)  # client 1
    end(books, first, UNKNOWN, Error.TIMED_OUT, first=1)  # client 2; 3 waits
    second = retry(api, source)
    books.launch(second)
    assert clients(books, second) == [1]
    end(books, second)
    third = retry(api, source)
    books.launch(third)
    assert clients(books, third) == []


def test_a_retry_of_a_retry_of_a_retry(books: Books, api: Api, source: int) -> None:
    """All retries that go back to one mailing know of each other."""
    first = retry(api, source)
    books.launch(first)
    end(books, first, SENT, first=1)
    end(books, first, FAILED, Error.REJECTED)
    second = retry(api, first)
    books.launch(second)
    assert clients(books, second) == [2, 3]
    end(books, second, SENT, first=1)
    end(books, second, FAILED, Error.REJECTED)
    third = retry(api, second)
    books.launch(third)
    assert clients(books, third) == [3]
    for mailing_id in (source, first):  # by whatever way, 2 has got it and 3 is about to
        again = retry(api, mailing_id)
        books.launch(again)
        assert clients(books, again) == []


def test_two_at_the_same_moment_never_both_take_one_person(books: Books, other: Books, api: Api) -> None:
    """By two processes that both believe they lead, slice by slice, in one retry and in another."""
    count = 300
    source, _ = books.launched(count)
    end(books, source, FAILED, Error.REJECTED)
    ids = [retry(api, source), retry(api, source)]
    assert books.move(create_messages, ids[0], 3).count == 3
    together = threading.Barrier(2)
    faults: list[BaseException] = []

    def launch(by: Books, mailing_id: int, span: int) -> None:
        try:
            together.wait(10)
            while not by.move(create_messages, mailing_id, span).complete:
                pass
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=launch, args=each) for each in zip((books, other), ids, (3, 11), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    taken = [clients(books, mailing_id) for mailing_id in ids]
    assert sorted(taken[0] + taken[1]) == clients(books, source)
    assert all(taken)  # else they did not meet


def test_whose_turn_it_is_has_it_alone(books: Books, other: Books, api: Api, source: int) -> None:
    """The slice of a retry waits for one of another retry that is not committed, and then sees what it has created."""
    first, second = retry(api, source), retry(api, source)
    done = threading.Event()

    def launch() -> None:
        other.launch(second)
        done.set()

    with books.engine.begin() as connection:
        with open_entries(connection, 1) as entries:
            assert create_messages(connection, entries, first, 1000).count == 3
        thread = threading.Thread(target=launch)
        thread.start()
        assert not done.wait(0.5)
    thread.join(10)
    assert clients(books, second) == []


def test_who_was_suppressed_or_deleted_meanwhile_gets_nothing(books: Books, api: Api, source: int) -> None:
    api.make("/suppressions/", {"phone": api.get("/clients/1/")["phone"]})
    assert api("DELETE", "/clients/2/").status == 204
    mailing_id = retry(api, source)
    books.launch(mailing_id)
    assert clients(books, mailing_id) == [1, 3]
    assert books.states(mailing_id) == {"skipped": 1, "pending": 1}


@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        (asked("expired"), {"states"}),
        (asked("sent"), {"states"}),
        (asked("pending"), {"states"}),
        ({"states": [], "ends_at": from_now(HOUR)}, {"states"}),
        ({"ends_at": from_now(HOUR)}, {"states"}),
        ({"states": ["failed"]}, {"ends_at"}),
        (asked(errors=["nonsense"]), {"errors"}),
        (asked(ends_at=from_now(-HOUR)), {"ends_at"}),
        (asked(starts_at=from_now(2 * HOUR)), {"ends_at"}),
        (asked(filter={}), {"filter"}),
    ],
)
def test_what_cannot_be_retried(api: Api, source: int, body: Body, blamed: set[str]) -> None:
    answer = api("POST", f"/mailings/{source}/retry/", body)
    assert (answer.status, answer.at_fault) == (422, blamed)
    assert api("POST", "/mailings/77/retry/", asked()).status == 404
    assert api("GET", "/mailings/").total == 1


def test_a_mailing_whose_rows_are_gone_is_not_retried(books: Books, api: Api, source: int) -> None:
    """Nor one of which another retry's are: nobody could say whom that has reached."""
    first = retry(api, source)
    books.run("update mailings set messages_removed_at = now() where id = :id", id=first)
    answer = api("POST", f"/mailings/{source}/retry/", asked())
    assert (answer.status, answer.json["type"]) == (409, "gone")
    books.run("update mailings set messages_removed_at = now() where id = :id", id=source)
    assert api("POST", f"/mailings/{source}/retry/", asked()).status == 409
    books.run("update mailings set messages_removed_at = null")


def test_the_rows_that_a_retry_is_made_of_stay_until_its_launch(books: Books, api: Api, source: int) -> None:
    def named() -> Sequence[int]:
        return sorted({row[0] for row in books.run(NAMED_MAILINGS)})

    first = retry(api, source)
    assert named() == [source, first]
    books.launch(first)
    assert named() == []
    second = retry(api, source, starts_at=from_now(HOUR / 2))
    assert named() == [source, first, second]
    api("POST", f"/mailings/{second}/cancel/")
    assert named() == []


def test_it_says_why_somebody_has_none(books: Books, api: Api, source: int) -> None:
    def why(mailing_id: int, client_id: int) -> str:
        return str(api.get(f"/mailings/{mailing_id}/clients/{client_id}/")["reason"])

    later = retry(api, source, starts_at=from_now(HOUR / 2))
    assert (why(later, 1), why(later, 5)) == ("not_launched", "not_matched")
    (new,) = books.clients()
    first, second = retry(api, source, errors=["rejected"]), retry(api, source)
    books.launch(first)
    books.launch(second)
    assert clients(books, second) == [3]
    assert (why(second, 1), why(second, 5), why(second, new), why(first, 3)) == (
        ("excluded", "not_matched", "not_matched", "not_matched")
    )
    assert "is sent" in api.get(f"/mailings/{second}/clients/5/")["explanation"]
    books.run("update mailings set messages_removed_at = now() where id = :id", id=source)
    assert why(second, 1) == "rows_gone"
    books.run("update mailings set messages_removed_at = null")
