"""What providers say later of messages, from the request to the figures."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from shared.domain.message import Error, MessageState
from shared.domain.profile.provider import Providers, Secret, Source
from shared.domain.receipt import Receipt, ReceiptState
from shared.domain.retry import SENT, Decision, Finish
from shared.ledger.check import read_accounts, snapshot
from shared.ledger.entries import Entries
from shared.ledger.repair import find_accounts, mend
from shared.ledger.totals import mend_totals, totals_difference
from shared.messages.erase import erase_messages, is_erased
from shared.messages.receipts import MOST_NOBODYS, SLICE, settle_receipts, take_receipts
from shared.messages.record import Verdict, record_verdicts
from shared.messages.references import Reference, keep_references
from tests.support.api import Answer, Api, running
from tests.support.books import LEASE, SECOND, Books
from tests.support.receipt_sender import PATH, gateway, gateways
from tests.support.waiting import wait_until

UNKNOWN, FAILED = Finish(MessageState.UNKNOWN), Finish(MessageState.FAILED)
NONE = {"delivered": 0, "undelivered": 0, "unknown_delivered": 0, "unknown_undelivered": 0}


@pytest.fixture
def api(engine: Engine) -> Any:
    api = Api(engine, providers=gateways())
    yield api
    Books(engine).check()


@pytest.fixture
def books(api: Api) -> Books:
    return Books(api.engine)


class Sending:
    """A mailing, of which messages become what a test says."""

    def __init__(self, api: Api, books: Books, clients: int) -> None:
        self.books = books
        self.clients = books.clients(clients)
        self.id = int(api.make("/mailings/", running())["id"])
        api.launch(self.id)
        self.ids = books.ids(self.id)
        books.prove(self.id)

    def end(self, ids: Sequence[int], decision: Decision = SENT, error: Error | None = None) -> None:
        claimed = self.books.claim(self.id, ids, lease=LEASE)
        verdicts = [Verdict(each, decision, error, ambiguous=decision is UNKNOWN) for each in claimed]
        assert len(verdicts) == len(ids)
        assert self.books.move(record_verdicts, verdicts, SECOND) == 0


@pytest.fixture
def sending(api: Api, books: Books) -> Sending:
    """Six messages: three sent, one unknown, one failed, one that waits."""
    made = Sending(api, books, 6)
    made.end(made.ids[:3])
    made.end(made.ids[3:4], UNKNOWN, Error.TIMED_OUT)
    made.end(made.ids[4:5], FAILED, Error.REJECTED)
    return made


def said(message_id: int, status: str = "delivered", **more: Any) -> dict[str, Any]:
    return {"id": message_id, "status": status, **more}


def send(api: Api, *receipts: Any, path: str = PATH) -> Answer:
    return api("POST", path, list(receipts))


def counted(api: Api, mailing_id: int) -> dict[str, int]:
    return dict(api.get(f"/mailings/{mailing_id}/detail_statistics/")["receipts"])


def shown(api: Api, message_id: int) -> Any:
    found = api.get(f"/messages/{message_id}/")
    return found["status"], found["receipt"] and (found["receipt"], found["receipt_reason"])


def settle(books: Books) -> Any:
    return books.move(settle_receipts)


def number(result: str) -> float:
    return REGISTRY.get_sample_value("api_receipts_total", {"provider": "gate", "result": result}) or 0.0


def test_what_became_of_messages_is_shown_and_counted(api: Api, sending: Sending) -> None:
    assert counted(api, sending.id) == NONE | {"awaiting": 3}
    one, two, three, unknown, *_ = sending.ids
    answer = send(
        api,
        said(one, at="2026-01-31T12:00:00+03:00"),
        said(two, "failed", reason="absent subscriber"),
        said(three, "queued"),
        said(unknown),
    )
    assert (answer.status, answer.json) == (200, {"taken": 4, "unmatched": 0, "unlisted": 0, "unreadable": 0})
    assert counted(api, sending.id) == NONE | {
        "delivered": 1, "undelivered": 1, "awaiting": 1, "unknown_delivered": 1,
    }  # fmt: skip
    assert shown(api, one) == ("sent", ("delivered", None))
    assert shown(api, two) == ("sent", ("undelivered", "absent subscriber"))
    assert shown(api, three) == ("sent", ("awaiting", None))
    assert shown(api, unknown) == ("unknown", ("delivered", None))
    assert api.get(f"/messages/{one}/")["receipt_at"] == "2026-01-31T09:00:00+00:00"
    general = api.get("/mailings/general_statistics/")
    assert general["receipts"] == general["mailings"][0]["receipts"] == counted(api, sending.id)


def test_order_and_repetition_change_nothing(api: Api, sending: Sending) -> None:
    one, two, *_ = sending.ids
    for status in ("queued", "failed", "delivered", "failed", "queued"):
        assert send(api, said(one, status)).status == 200
        assert send(api, said(two, "failed"), said(two, status)).status == 200
    assert counted(api, sending.id) == NONE | {"delivered": 2, "awaiting": 1}
    assert shown(api, one) == shown(api, two) == ("sent", ("delivered", None))


def test_a_final_status_is_never_changed(api: Api, books: Books, sending: Sending) -> None:
    before = [tuple(books.message(message_id)) for message_id in sending.ids]
    contradicted = number("contradicted")
    assert send(api, *(said(message_id, "failed") for message_id in sending.ids)).status == 200
    assert [tuple(books.message(message_id)) for message_id in sending.ids] == before
    assert number("contradicted") - contradicted == 1  # of one that was refused
    assert shown(api, sending.ids[4]) == ("failed", ("undelivered", None))
    assert counted(api, sending.id) == NONE | {"undelivered": 3, "awaiting": 0, "unknown_undelivered": 1}


def test_one_that_comes_before_the_result_is_kept_until_it(api: Api, books: Books, sending: Sending) -> None:
    waiting = sending.ids[5]
    for status in ("queued", "delivered", "queued"):
        assert send(api, said(waiting, status)).status == 200
    assert settle(books).taken.states.total() == 0
    assert counted(api, sending.id) == NONE | {"awaiting": 3}
    assert shown(api, waiting) == ("pending", ("delivered", None))
    sending.end([waiting])
    assert settle(books).taken.states == {"delivered": 1}
    assert settle(books).taken.states.total() == 0
    assert counted(api, sending.id) == NONE | {"delivered": 1, "awaiting": 3}
    assert shown(api, waiting) == ("sent", ("delivered", None))
    assert books.run("select * from waiting_receipts") == []


def test_by_the_name_that_the_provider_has_for_it(api: Api, books: Books, sending: Sending) -> None:
    one, two, *_ = sending.ids
    part = books.message(one).part
    with books.engine.begin() as connection:
        keep_references(connection, [Reference(one, part, "gate", "a-1"), Reference(two, part, "other", "a-2")])
    answer = send(api, {"ref": "a-1", "status": "delivered"}, {"ref": "a-2", "status": "failed"})
    assert (answer.status, answer.json["unmatched"]) == (202, 1)  # another provider calls another message so
    assert counted(api, sending.id) == NONE | {"delivered": 1, "awaiting": 2}


def test_by_a_name_that_nobody_knows_yet(api: Api, books: Books, sending: Sending) -> None:
    one, waiting = sending.ids[0], sending.ids[5]
    for status in ("queued", "failed"):
        assert send(api, {"ref": "b-1", "status": status}, {"ref": "b-2", "status": status}).status == 202
    assert settle(books).last is None
    part = books.message(one).part
    with books.engine.begin() as connection:
        keep_references(connection, [Reference(one, part, "gate", "b-1"), Reference(waiting, part, "gate", "b-2")])
    assert settle(books).taken.states == {"undelivered": 1}
    assert counted(api, sending.id) == NONE | {"undelivered": 1, "awaiting": 2}
    sending.end([waiting])  # which is known by now, and was called for again
    settle(books)
    assert counted(api, sending.id) == NONE | {"undelivered": 2, "awaiting": 2}
    assert books.run("select * from waiting_receipts") == []


def test_what_is_nobodys_fills_no_table(api: Api, books: Books, sending: Sending) -> None:
    never = max(sending.ids) + 1
    before = number("unknown")
    answer = send(api, said(never), said(2**63 - 1), said(sending.ids[0]))
    assert (answer.status, answer.json["unmatched"], answer.json["taken"]) == (202, 2, 1)
    assert number("unknown") - before == 2
    assert books.run("select * from waiting_receipts") == []
    books.run(
        """insert into waiting_receipts (provider, reference, state, came_at)
           select 'gate', 'r-' || n, 'delivered', now() - interval '61 minutes' from generate_series(1, :most) n""",
        most=MOST_NOBODYS,
    )
    assert send(api, {"ref": "one more", "status": "delivered"}).status == 202
    assert books.run("select * from waiting_receipts where reference = 'one more'") == []
    assert sum(settle(books).forgotten for _ in range(MOST_NOBODYS // SLICE)) == MOST_NOBODYS
    assert books.run("select * from waiting_receipts") == []


def test_forged_ones_are_refused_and_counted(api: Api, books: Books, sending: Sending) -> None:
    refused = REGISTRY.get_sample_value("api_refused_total", {"reason": "forged"}) or 0.0
    for path in ("/receipts/gate/", "/receipts/gate/guessed/", "/receipts/gate/quite-secre/"):
        answer = send(api, said(sending.ids[0]), path=path)
        assert (answer.status, answer.json["type"]) == (403, "forged")
    assert (REGISTRY.get_sample_value("api_refused_total", {"reason": "forged"}) or 0.0) - refused == 3
    assert send(api, said(sending.ids[0]), path="/receipts/nobody/x/").status == 404
    assert api("GET", PATH).status == 405
    assert api.app.test_client().head(PATH).status_code == 405
    assert books.run("select * from receipts") == []


@pytest.mark.parametrize(
    ("body", "status", "type_"),
    [
        (b"", 400, "not-json"),
        (b"{", 400, "not-json"),
        (b"[" * 100_000, 400, "not-json"),
        (b"{}", 422, "no-receipts"),
        (b"[1, null, {}]", 422, "no-receipts"),
        (json.dumps([{"id": 1, "status": "delivered"}] * 10_001).encode(), 413, "too-large"),
        (b" " * (2**20 + 1), 413, "too-large"),
    ],
)
def test_what_cannot_be_read(api: Api, body: bytes, status: int, type_: str) -> None:
    answer = api("POST", PATH, data=body, content_type="application/json")
    assert (answer.status, answer.json["type"]) == (status, type_)


def test_a_mebibyte_and_ten_thousand_are_taken(api: Api, books: Books) -> None:
    sending = Sending(api, books, 300)
    sending.end(sending.ids)
    receipts = [said(sending.ids[n % 300]) for n in range(10_000)]
    body = json.dumps(receipts).encode()
    answer = api("POST", PATH, data=body + b" " * (2**20 - len(body)), content_type="application/json")
    assert (answer.status, answer.json["taken"]) == (200, 10_000)
    assert counted(api, sending.id) == NONE | {"delivered": 300, "awaiting": 0}


def test_a_status_that_is_not_in_the_table_is_counted_and_said_once(
    api: Api, sending: Sending, capfd: pytest.CaptureFixture[str]
) -> None:
    one, before = sending.ids[0], number("unlisted")
    for _ in range(3):
        answer = send(api, said(one, "eaten by a fish"))
        assert (answer.status, answer.json["unlisted"]) == (200, 1)
    assert number("unlisted") - before == 3
    assert capfd.readouterr().out.count("eaten by a fish") == 1
    assert shown(api, one) == ("sent", None)


def test_of_somebody_who_was_erased_nothing_personal_is_kept(api: Api, books: Books, sending: Sending) -> None:
    one, two, three, *_ = sending.ids
    send(api, said(one, "failed", reason="Ivan has moved"))
    send(api, {"ref": "c-1", "status": "queued"})
    with books.engine.begin() as connection:
        keep_references(connection, [Reference(one, books.message(one).part, "gate", "c-1")])
        for client_id in sending.clients:
            erase_messages(connection, client_id)
            assert is_erased(connection, client_id)
    assert books.run("select * from message_references") == []
    assert send(api, said(two, "failed", reason="Ivan has moved"), said(three)).status == 200
    assert books.run("select reason from receipts where reason is not null") == []
    assert shown(api, one) == shown(api, two) == ("sent", ("undelivered", None))
    assert counted(api, sending.id) == NONE | {"delivered": 1, "undelivered": 2, "awaiting": 0}


def test_a_clock_that_is_far_off_is_not_believed(api: Api, sending: Sending) -> None:
    one, two, *_ = sending.ids
    send(api, said(one, at="2099-01-01T00:00:00Z"), said(two, at="1970-01-01T00:00:01Z"))
    for message_id in (one, two):
        assert "2020" < api.get(f"/messages/{message_id}/")["receipt_at"] < "2090"


def test_after_the_mailing_is_finished_and_deleted(api: Api, books: Books, sending: Sending) -> None:
    sending.end(sending.ids[5:])
    assert books.finish([sending.id]) == [sending.id]
    send(api, said(sending.ids[0]))
    assert counted(api, sending.id) == NONE | {"delivered": 1, "awaiting": 3}
    books.run("update receipt_counters set undelivered = undelivered + 1")
    with books.engine.connect() as connection:
        for account in find_accounts(connection):
            assert account.difference == {"undelivered": 1}
            mend(connection, account)
    assert counted(api, sending.id) == NONE | {"delivered": 1, "awaiting": 3}
    assert api("DELETE", f"/mailings/{sending.id}/").status == 204
    send(api, said(sending.ids[1]))
    assert api.get("/mailings/general_statistics/")["receipts"] in (None, NONE | {"awaiting": 0})
    with books.engine.connect() as connection:
        assert totals_difference(connection) == {}


WAITS = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@pytest.mark.parametrize("slot", [0, 1], ids=["the first of its slot", "one more"])
def test_one_that_is_counted_while_the_mailing_is_deleted(api: Api, books: Books, sending: Sending, slot: int) -> None:
    """The totals have it neither before nor after."""
    sending.end(sending.ids[5:])
    books.finish([sending.id])
    books.move(take_receipts, "gate", [Receipt(ReceiptState.DELIVERED, sending.ids[0])])
    with ThreadPoolExecutor(1) as pool, books.engine.connect() as connection:
        with connection.begin():
            entries = Entries()
            take_receipts(connection, entries, "gate", [Receipt(ReceiptState.DELIVERED, sending.ids[1])])
            entries.write(connection, slot)
            deleting = pool.submit(api, "DELETE", f"/mailings/{sending.id}/")
            wait_until(lambda: deleting.done() or books.run(WAITS))
        assert deleting.result().status == 204
    send(api, said(sending.ids[2]))
    with books.engine.connect() as connection:
        assert totals_difference(connection) == {}
    assert api.get("/mailings/general_statistics/")["receipts"] in (None, NONE | {"awaiting": 0})


def test_a_ledger_that_says_something_else_is_found_and_mended(api: Api, books: Books, sending: Sending) -> None:
    send(api, said(sending.ids[0]), said(sending.ids[1], "failed"), said(sending.ids[3]))
    books.run("update receipt_counters set delivered = delivered + 2, undelivered = 0, unknown_delivered = 7")
    with books.engine.connect() as connection:
        with snapshot(connection):
            (account,) = read_accounts(connection, [sending.id])
        assert account.difference == {"delivered": 2, "undelivered": -1, "unknown_delivered": 6}
        for found in find_accounts(connection, [sending.id]):
            mend(connection, found)
        with connection.begin():
            mend_totals(connection, totals_difference(connection))
    books.check()
    assert counted(api, sending.id)["undelivered"] == 1


def test_without_receipts_nothing_is_said_of_any(engine: Engine) -> None:
    api = Api(engine)
    books = Books(engine)
    sending = Sending(api, books, 1)
    sending.end(sending.ids)
    assert api.get(f"/mailings/{sending.id}/detail_statistics/")["receipts"] is None
    assert api.get("/mailings/general_statistics/")["receipts"] is None
    for table in ("receipts", "receipt_counters", "waiting_receipts", "message_references"):
        assert books.run(f"select * from {table}") == []


def test_a_new_secret_is_taken_without_a_restart(
    engine: Engine, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    api = Api(engine, providers=Providers([gateway(secret=Secret(Source.FILE, str(file)))]))
    assert send(api, said(1), path="/receipts/gate/first/").status == 202
    file.write_text("second")
    monkeypatch.setattr("api_service.tracking.receivers.FRESH", 0.0)
    assert send(api, said(1), path="/receipts/gate/third/").status == 403
    assert send(api, said(1), path="/receipts/gate/second/").status == 202
    assert send(api, said(1), path="/receipts/gate/first/").status == 403
