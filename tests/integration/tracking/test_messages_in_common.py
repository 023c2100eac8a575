"""Messages of a mailing by their error, or by what providers said later: pages, files, and what makes no sense."""

import json

import pytest

from api_service.tracking import in_common
from api_service.web import export
from shared.domain.message import Error
from tests.integration.mailings.test_retries import UNKNOWN, end
from tests.support.api import Api
from tests.support.books import FAILED, SENT, Books
from tests.support.receipt_sender import PATH, gateways


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine, providers=gateways())


@pytest.fixture
def mailing_id(api: Api, books: Books) -> int:
    """To ten: 1 to 4 were refused, 5 was not answered, 6 to 9 are sent. 5 and 6 have it, 7 and 8 have not."""
    mailing_id, ids = books.launched(10)
    end(books, mailing_id, FAILED, Error.REJECTED, first=4)
    end(books, mailing_id, UNKNOWN, Error.TIMED_OUT, first=1)
    end(books, mailing_id, SENT, first=4)
    said = [{"id": one, "status": "delivered"} for one in ids[4:6]]
    said += [{"id": one, "status": "failed"} for one in ids[6:8]]
    assert api("POST", PATH, said).status == 200
    return mailing_id


WANTED = {
    "error=rejected": slice(0, 4),
    "error=timed_out": slice(4, 5),
    "error=opted_out": slice(0, 0),
    "receipt=delivered": slice(5, 6),
    "receipt=undelivered": slice(6, 8),
    "receipt=unknown_delivered": slice(4, 5),
    "receipt=unknown_undelivered": slice(0, 0),
}


def walked(api: Api, path: str) -> list[int]:
    """The ids of all parts, by the links from one to the next."""
    found: list[int] = []
    while path:
        answer = api("GET", path)
        assert answer.status == 200, answer.body
        found += [one["id"] for one in answer.json]
        link = answer.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else ""
    return found


@pytest.mark.parametrize("which", WANTED)
@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_they_are_walked_also_where_a_part_finds_none(
    api: Api, books: Books, mailing_id: int, which: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The links are followed from the beginning, whether or not that is said."""
    monkeypatch.setattr(in_common, "SECONDS", seconds)
    monkeypatch.setattr(in_common, "SLICE", 2)
    whose = books.ids(mailing_id)[WANTED[which]]
    for begin in ("", "&after_id=0"):
        assert walked(api, f"/messages/?mailing_id={mailing_id}&{which}&page_size=3{begin}") == whose


def test_an_object_is_that_of_other_lists(api: Api, mailing_id: int) -> None:
    for which in ("error=timed_out", "receipt=unknown_delivered"):
        assert api.get(f"/messages/?mailing_id={mailing_id}&{which}") == api.get(
            f"/messages/?mailing_id={mailing_id}&status=unknown"
        )


@pytest.mark.parametrize("which", WANTED)
def test_a_file_has_the_same(
    api: Api, books: Books, mailing_id: int, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS", 3)
    lines = api("GET", f"/messages/?mailing_id={mailing_id}&{which}&format=ndjson").body.splitlines()
    assert [json.loads(line)["id"] for line in lines] == books.ids(mailing_id)[WANTED[which]]


def test_of_whom_there_is_no_more_there_is_nothing(api: Api, books: Books, mailing_id: int) -> None:
    books.run("update mailings set messages_removed_at = now() where id = :id", id=mailing_id)
    assert walked(api, f"/messages/?mailing_id={mailing_id}&error=rejected") == []
    assert api("GET", "/messages/?mailing_id=99&error=rejected").status == 404


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("mailing_id=1&error=sent", "error"),
        ("mailing_id=1&error=", "error"),
        ("mailing_id=1&receipt=awaiting", "receipt"),
        ("mailing_id=1&receipt='", "receipt"),
        ("mailing_id=1&error=rejected&receipt=delivered", "receipt"),
        ("mailing_id=1&status=failed&error=rejected", "error"),
        ("mailing_id=1&status=sent&receipt=delivered&format=csv", "receipt"),
        ("phone=79160000001&error=rejected", "error"),
        ("phone=79160000001&receipt=delivered", "receipt"),
        ("mailing_id=1&error=rejected&page=1", "page"),
        ("mailing_id=1&receipt=delivered&page=2", "page"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, query: str, fault: str) -> None:
    answer = api("GET", f"/messages/?{query}")
    assert (answer.status, fault in answer.at_fault) == (422, True)
