"""A mailing by reason and by operator code: while it goes on, and for ever."""

from typing import Any

import pytest

from api_service.tracking import breakdown
from shared.domain.message import Error, MessageState
from shared.domain.retry import SENT, Decision, Finish
from shared.ledger import stretches
from shared.messages.close import close_messages
from shared.messages.record import Verdict, record_verdicts
from tests.support.api import Api, mailing, running
from tests.support.books import LEASE, SECOND, Books

pytest_plugins = ("tests.support.api_fixture",)


@pytest.fixture
def books(api: Api) -> Books:
    """Those of the same database."""
    return Books(api.engine)


@pytest.fixture
def mailing_id(api: Api, books: Books) -> int:
    """Of eight clients with three codes: sent, failed for two reasons, and two that wait."""
    for code, number in (("912", 4), ("916", 3), ("999", 1)):
        books.clients(number, operator_code=code)
    mailing_id = int(api.make("/mailings/", running())["id"])
    api.launch(mailing_id)
    fates: list[tuple[Decision, Error | None]] = [
        (SENT, None), (SENT, None), (Finish(MessageState.FAILED), Error.REJECTED),
        (Finish(MessageState.FAILED), Error.REJECTED), (SENT, None), (Finish(MessageState.FAILED), Error.TIMED_OUT),
    ]  # fmt: skip
    claimed = books.claim(mailing_id, books.due(mailing_id)[:6], lease=LEASE)
    verdicts = [Verdict(one, *fate) for one, fate in zip(sorted(claimed, key=lambda m: m.id), fates, strict=True)]
    assert books.move(record_verdicts, verdicts, SECOND) == 0
    return mailing_id


def looked_up(api: Api, mailing_id: int) -> Any:
    found = api.get(f"/mailings/{mailing_id}/breakdown/")
    detail = api.get(f"/mailings/{mailing_id}/detail_statistics/")
    for name in ("audience", *MessageState):
        assert sum(one[name] for one in found["by_operator_code"]) == detail[name], name
    return found


def test_it_is_counted_while_the_mailing_goes_on(api: Api, mailing_id: int) -> None:
    found = looked_up(api, mailing_id)
    assert found["is_final"] is False
    assert found["by_reason"] == [
        {"status": "failed", "error": "rejected", "count": 2},
        {"status": "failed", "error": "timed_out", "count": 1},
    ]
    codes = [(one["operator_code"], one["audience"], one["sent"], one["failed"]) for one in found["by_operator_code"]]
    assert codes == [("912", 4, 2, 2), ("916", 3, 1, 1), ("999", 1, 0, 0)]


def test_it_is_kept_when_the_mailing_is_finished_and_its_rows_are_gone(
    api: Api, books: Books, mailing_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "SLICE", 3)
    books.run("delete from clients where operator_code = '999'")  # then their phone tells
    books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    assert books.finish([mailing_id]) == [mailing_id]
    found = looked_up(api, mailing_id)
    assert found["is_final"] is True
    assert {"status": "expired", "error": None, "count": 2} in found["by_reason"]
    assert [one["operator_code"] for one in found["by_operator_code"]] == ["912", "916", "900"]
    books.run("update mailings set messages_removed_at = now()")
    books.run("delete from messages")
    assert looked_up(api, mailing_id) == found


def test_one_that_is_large_is_counted_when_it_is_over(
    api: Api, mailing_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakdown, "LIVE", 7)
    answer = api("GET", f"/mailings/{mailing_id}/breakdown/")
    assert (answer.status, answer.json["type"]) == (409, "too-early")


def test_one_that_is_not_launched_has_nothing(api: Api) -> None:
    waiting = api.make("/mailings/", mailing())["id"]
    found = api.get(f"/mailings/{waiting}/breakdown/")
    assert (found["by_reason"], found["by_operator_code"], found["is_final"]) == ([], [], False)
    assert api("GET", "/mailings/99/breakdown/").status == 404
