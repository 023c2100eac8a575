"""Messages as a file: of a mailing, of a client, of a phone."""

import csv
import io
import json
from typing import Any

import pytest

from api_service.web import export
from shared.messages.create import create_messages
from tests.support.api import Api, mailing, running
from tests.support.books import Books

pytest_plugins = ("tests.support.api_fixture",)

HEADER = "id,client_id,phone,status,error,provider_words,attempts,calls,sent_at,receipt,receipt_at"


@pytest.fixture
def books(api: Api) -> Books:
    """Those of the same database."""
    return Books(api.engine)


@pytest.fixture
def two(api: Api, books: Books, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Mailings to seven clients whose messages lie between each other; three of the first failed. Pages are small."""
    monkeypatch.setattr(export, "ROWS", 3)
    books.clients(7)
    first, second = (int(api.make("/mailings/", running())["id"]) for _ in range(2))
    for limit in (2, 2, 2, 2):
        for mailing_id in (first, second):
            books.move(create_messages, mailing_id, limit)
    books.run(
        "update messages set status = 'failed', error = 'rejected', due_at = null, attempts = 1, calls = 2"
        " where mailing_id = :id and client_id in (2, 3, 7)", id=first,
    )  # fmt: skip
    books.run(
        "insert into attempts (message_id, part, number, at, error, words)"
        " select id, part, 1, now(), 'rejected', case client_id when 2 then '=cmd|'' /C calc''!A0' when 3 then"
        " 'said \"no\", twice' end from messages where status = 'failed'"
    )
    books.run(
        "update messages set status = 'sent', due_at = null, attempts = 1, calls = 1,"
        " sent_at = '2026-01-30 12:00:00.5+03' where client_id = 1"
    )
    return first, second


def rows(api: Api, path: str) -> list[dict[str, str]]:
    answer = api("GET", path)
    assert answer.status == 200, answer.body
    text = answer.body.decode()
    assert text.startswith(f"\ufeff{HEADER}\r\n")
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_a_mailings_messages_say_whom_to_call_and_why(api: Api, two: tuple[int, int]) -> None:
    first, second = two
    table = rows(api, f"/messages/?mailing_id={first}&format=csv")
    assert [row["client_id"] for row in table] == list("1234567")
    assert [int(row["id"]) for row in table] == sorted(int(row["id"]) for row in table)
    sent, failed, quoted, pending = table[:4]
    assert (sent["status"], sent["sent_at"], sent["error"]) == ("sent", "2026-01-30T09:00:00.5+00:00", "")
    assert (failed["phone"], failed["status"], failed["error"]) == ("79000000002", "failed", "rejected")
    assert (failed["attempts"], failed["calls"], failed["receipt"]) == ("1", "2", "")
    assert failed["provider_words"] == "'=cmd|' /C calc'!A0"  # which no program that calculates takes for a formula
    assert quoted["provider_words"] == 'said "no", twice'
    assert (pending["status"], pending["provider_words"], pending["sent_at"]) == ("pending", "", "")
    assert table[6]["provider_words"] == ""
    some = rows(api, f"/messages/?mailing_id={first}&status=failed&format=csv")
    assert some == [row for row in table if row["status"] == "failed"]
    assert rows(api, f"/messages/?mailing_id={second}&status=failed&format=csv") == []


@pytest.mark.parametrize("path", ["/messages/?mailing_id=1&", "/clients/2/messages/?", "/messages/?phone=79000000002&"])
def test_every_form_says_the_same(api: Api, two: tuple[int, int], path: str) -> None:
    objects: list[dict[str, Any]] = api.get(f"{path}format=json")
    page = api.get(path)
    same = page[0].keys() - {"sent_at", "due_at"}  # of which fractions are written with fewer zeros
    assert [{name: one[name] for name in same} for one in objects] == [
        {name: one[name] for name in same} for one in page
    ]
    assert objects[0].keys() == page[0].keys()
    lines = [json.loads(line) for line in api("GET", f"{path}format=ndjson").body.splitlines()]
    table = rows(api, f"{path}format=csv")
    assert lines == [{name: one[name] for name in HEADER.split(",")} for one in objects]
    assert list(lines[0]) == HEADER.split(",")
    for one, row in zip(lines, table, strict=True):
        for name, value in one.items():
            shown = "" if value is None else str(value)
            assert row[name] in (shown, f"'{shown}"), name
    assert [row for row in table if row["provider_words"].startswith("'=")]


def test_a_client_has_those_of_all_mailings_the_latest_first(api: Api, two: tuple[int, int]) -> None:
    by_client = rows(api, "/clients/2/messages/?format=csv")
    assert [row["status"] for row in by_client] == ["pending", "failed"]
    assert rows(api, "/messages/?phone=79000000002&format=csv") == by_client
    for _ in range(5):
        api.launch(api.make("/mailings/", running())["id"])
    assert len(rows(api, "/clients/2/messages/?format=csv")) == 7
    accepted = api("GET", "/clients/2/messages/", headers={"Accept": "text/csv"})
    assert accepted.body.decode().count("\r\n") == 8


def test_where_there_is_nothing_the_file_says_so(api: Api, two: tuple[int, int]) -> None:
    waiting = api.make("/mailings/", mailing())["id"]
    assert rows(api, f"/messages/?mailing_id={waiting}&format=csv") == []
    assert rows(api, "/messages/?phone=79999999999&format=csv") == []
    assert api("GET", "/messages/?mailing_id=99&format=csv").status == 404
    assert api("GET", "/clients/99/messages/?format=csv").status == 404
    assert api("GET", "/messages/?format=csv").status == 422
    api("DELETE", "/clients/2/")
    assert [row["status"] for row in rows(api, "/clients/2/messages/?format=csv")] == ["cancelled", "failed"]
