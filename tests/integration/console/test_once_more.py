"""What is made of a mailing on the console: the same to whom it did not reach, a test send, a draft for another one."""

import re
from html import unescape
from typing import Any

import pytest

from api_service.web.key import Scope
from shared.domain.message import Error
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.integration.mailings.test_retries import UNKNOWN, clients, end
from tests.support.api import Api, mailing
from tests.support.books import FAILED, SENT, Books
from tests.support.waiting import wait_until

LATER = "2049-12-01T09:00"


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


# ---------------------------------------------------------------- to whom it did not reach


@pytest.fixture
def source(books: Books) -> int:
    """To ten clients: 1 to 3 failed, 4 is unknown, the others wait."""
    mailing_id, _ = books.launched(10)
    end(books, mailing_id, FAILED, Error.REJECTED, first=3)
    end(books, mailing_id, UNKNOWN, Error.TIMED_OUT, first=1)
    return mailing_id


def test_exactly_those_are_written_to_again(api: Api, books: Books, browser: Browser, source: int) -> None:
    assert f"/console/mailings/{source}/retry/" in browser.read(f"/mailings/{source}/")
    page = browser.read(f"/mailings/{source}/retry/")
    Page(page)
    assert "Write again to 3 people" in page
    both = browser.read(f"/mailings/{source}/retry/?states=failed&states=unknown")
    assert "Write again to 4 people" in both
    assert "would get it twice" in both
    assert "would get it twice" not in page
    sent = browser.send(f"/mailings/{source}/retry/", states=["failed"], ends_at=LATER)
    made = int(re.findall(r"/console/mailings/(\d+)/", sent.headers["Location"])[0])
    view = api.get(f"/mailings/{made}/")
    assert (view["retry_of"], view["retry_states"], view["ends_at"]) == (source, ["failed"], f"{LATER}:00+00:00")
    books.launch(made)
    assert clients(books, made) == [1, 2, 3]
    assert f'<a href="/console/mailings/{source}/">Again to those' in browser.read(f"/mailings/{made}/")
    assert api.get(f"/audit/?thing=mailing&thing_id={made}")[0]["action"] == "create"


WRONG_RETRIES: list[tuple[dict[str, Any], str]] = [
    ({"states": ["failed"], "ends_at": ""}, "Missing data"),
    ({"states": ["failed"], "ends_at": "tomorrow"}, "Must be a day and a time"),
    ({"states": ["failed"], "ends_at": "2020-01-01T00:00"}, "Must be later than starts_at"),
    ({"states": ["failed"], "ends_at": LATER, "starts_at": "2049-12-02T09:00"}, "later than starts_at"),
    ({"states": ["failed"], "ends_at": LATER, "starts_at": "<b>"}, "Must be a day and a time"),
    ({"states": ["expired"], "ends_at": LATER}, "has ended so"),
    ({"states": ["sent", "pending"], "ends_at": LATER}, "Length must be between 1"),
    ({"ends_at": LATER}, "Length must be between 1"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG_RETRIES)
def test_what_is_wrong_makes_no_mailing(
    api: Api,
    browser: Browser,
    source: int,
    fields: dict[str, Any],
    sentence: str,
) -> None:
    response = browser.send(f"/mailings/{source}/retry/", **fields)
    assert response.status_code == 422
    assert sentence in unescape(response.text)
    Page(response.text)
    assert len(api.get("/mailings/")) == 1


def test_who_may_not_makes_none(books: Books, api: Api, source: int) -> None:
    locked = Api(books.engine, auth=True)
    reader = signed_in(locked, stored(books.engine, Scope.READ))
    seen = reader.read(f"/mailings/{source}/")
    for action in ("retry", "test", "clone"):
        path = f"/mailings/{source}/{action}/"
        assert path not in seen
        assert reader.send(path, seen_on="/", states=["failed"], ends_at=LATER).status_code == 403
    writer = signed_in(Api(books.engine, auth=True), stored(books.engine, Scope.WRITE))
    for action in ("retry", "test", "clone"):
        forged = {"states": ["failed"], "ends_at": LATER, "phones": "79120000001"}
        assert writer.http.post(f"/console/mailings/{source}/{action}/", data=forged).status_code == 403
    assert len(api.get("/mailings/")) == 1


# ---------------------------------------------------------------- a few phones


@pytest.fixture
def draft(api: Api) -> int:
    """To be tried out, and a client with a city."""
    api.make("/clients/", {"phone": "79120000001", "attributes": {"city": "Omsk"}})
    api.make("/clients/", {"phone": "79120000002"})
    return int(api.make("/mailings/", mailing(text="In {{ city }}", draft=True))["id"])


def test_it_is_tried_out_on_a_few_phones(api: Api, books: Books, browser: Browser, draft: int) -> None:
    path = f"/mailings/{draft}/test/"
    assert path in browser.read(f"/mailings/{draft}/")
    assert "Nobody has tried it out yet." in browser.read(path)
    sent = browser.send(path, phones="8 (912) 000-00-01\r\n\r\n+7 912 000 00 02\r\n", client_id="1")
    assert sent.headers["Location"] == f"/console{path}"
    (trial,) = api.get(path)
    assert (trial["text"], [one["phone"] for one in trial["messages"]]) == ("In Omsk", ["79120000001", "79120000002"])
    page = browser.read(path)
    Page(page)
    assert "In Omsk" in page
    assert page.count("waits") + page.count("waiting") == 2
    live = f"{path}live/"
    assert browser.see(live).headers["X-Live"] == "on"
    (row,) = books.run("select id from mailings where trial_of is not null")
    claimed = books.claim(row.id, books.ids(row.id))
    books.record(SENT, claimed[:1])
    books.record(FAILED, claimed[1:], Error.REJECTED)
    wait_until(lambda: browser.see(live).headers["X-Live"] == "over")  # a second, for which a look is shared
    assert "the provider refused this message for good" in browser.see(live).text


WRONG_TRIALS: list[tuple[dict[str, Any], str]] = [
    ({"phones": ""}, "Length must be between 1 and 5"),
    ({"phones": "\r\n".join(f"7912000000{number}" for number in range(6))}, "Length must be between 1 and 5"),
    ({"phones": "79120000001\r\n8 912 000 00 01"}, "Must not name a phone twice"),
    ({"phones": "79120000001\r\n<b>12"}, "<b>12: Must be 11 digits"),
    ({"phones": "79120000001\r\n79990000000"}, "79990000000: No client has this phone"),
    ({"phones": "79120000001", "client_id": "Anna"}, "Not a valid integer"),
    ({"phones": "79120000001", "client_id": "77"}, "There is no client 77"),
    ({"phones": "79120000001", "client_id": "2"}, "city"),
    ({"phones": "\0", "client_id": "\0"}, "Must be 11 digits"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG_TRIALS)
def test_what_is_wrong_sends_nothing(
    api: Api, browser: Browser, draft: int, fields: dict[str, str], sentence: str
) -> None:
    response = browser.send(f"/mailings/{draft}/test/", **fields)
    assert response.status_code == 422
    assert sentence in unescape(response.text)
    Page(response.text)
    assert api.get(f"/mailings/{draft}/test/") == []


def test_what_is_over_is_not_tried_out(api: Api, browser: Browser, draft: int) -> None:
    assert api("POST", f"/mailings/{draft}/cancel/").status == 200
    assert "too late to try it out" in browser.read(f"/mailings/{draft}/test/")
    assert browser.send(f"/mailings/{draft}/test/", seen_on="/", phones="79120000001").status_code == 409


# ---------------------------------------------------------------- a draft for another one


def test_a_draft_is_made_of_any_mailing(api: Api, browser: Browser) -> None:
    api.make("/clients/", {"phone": "79120000001"})
    one = api.make("/mailings/", mailing(text="Hello", name="Sale"))["id"]
    made = browser.send(f"/mailings/{one}/clone/", seen_on=f"/mailings/{one}/")
    assert made.headers["Location"] == f"/console/mailings/{one + 1}/edit/"
    view = api.get(f"/mailings/{one + 1}/")
    assert (view["state"], view["text"], view["name"], view["starts_at"]) == ("draft", "Hello", "Sale", None)
    assert browser.send("/mailings/999/clone/", seen_on=f"/mailings/{one}/").status_code == 404
