"""No page in Russian says anything in English: of forms filled in wrongly, of files, of what is not there or not
possible, and why."""

from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from api_service.web.key import Scope
from shared.domain.message import Error
from tests.integration.console import test_compose, test_once_more, test_segments
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.integration.mailings.test_retries import end
from tests.support.api import Api, mailing
from tests.support.books import FAILED, Books
from tests.support.sentences import english

PHONES = ("79120000001", "79120000002")


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


@pytest.fixture
def browser(api: Api) -> Browser:
    return in_russian(Browser(api))


def in_russian(browser: Browser) -> Browser:
    browser.http.set_cookie("language", "ru", path="/console/")
    return browser


def assert_russian(response: TestResponse, status: int, about: object = "") -> None:
    assert response.status_code == status, (about, response.text)
    assert 'lang="en"' not in response.text.partition("<main")[2].partition("<footer")[0], about
    assert english(response.text) == [], about
    Page(response.text)


def test_forms_that_are_filled_in_wrongly(api: Api, browser: Browser) -> None:
    for wrong, _ in test_compose.WRONG:
        if "priority" not in wrong:  # names of the API, which no form of ours gets wrong
            assert_russian(browser.send("/mailings/new/", **test_compose.FILLED_IN | wrong), 422, wrong)
    for wrong, _ in test_segments.WRONG:
        assert_russian(browser.send("/segments/new/", **test_segments.FILLED_IN | wrong), 422, wrong)
    for wrong in ({"phone": "12"}, {"phone": PHONES[0], "reason": "x" * 201}, {"phone": "=A1"}):
        assert_russian(browser.send("/suppressions/", **wrong), 422, wrong)
    for path in ("/clients/", "/suppressions/"):
        assert_russian(browser.see(path, query_string={"phone": "9.12E+10"}), 200)
    assert_russian(browser.see("/clients/", query_string={"phone": PHONES[0]}), 200)


def test_what_is_made_of_a_mailing(api: Api, books: Books, browser: Browser) -> None:
    source, _ = books.launched(5)
    end(books, source, FAILED, Error.REJECTED, first=2)
    for wrong, _ in test_once_more.WRONG_RETRIES:
        assert_russian(browser.send(f"/mailings/{source}/retry/", **wrong), 422, wrong)
    draft = api.make("/mailings/", mailing(text="Привет, {{ city }}", draft=True))["id"]
    for wrong, _ in test_once_more.WRONG_TRIALS:
        assert_russian(browser.send(f"/mailings/{draft}/test/", **wrong), 422, wrong)


def test_a_segment_that_would_be_a_part_of_itself(api: Api, browser: Browser) -> None:
    lower = api.make("/segments/", {"name": "Омск", "filter": {"tags": ["vip"]}})["id"]
    upper = api.make("/segments/", {"name": "Томск", "filter": {"segments": [lower]}})["id"]
    edited = browser.send(f"/segments/{lower}/edit/", name="Омск", segments=[str(upper)], revision='"1"')
    assert_russian(edited, 422)


def test_what_is_seen_before_a_start(api: Api, browser: Browser) -> None:
    for phone in PHONES:
        api.make("/clients/", {"phone": phone, "timezone": "Asia/Omsk"})
    times: dict[str, Any] = {"starts_at": "2049-01-01T20:00:00Z", "ends_at": "2049-01-01T21:00:00Z"}
    for more in (
        {"text": "Привет, {{ city }} и {{ town }}"},
        {"text": "“Hi”" + "a" * 150},
        {"text": "Привет", "send_window": {"from": "10:00", "until": "11:00"}},
        {"text": "Я" * 700, "filter": {"tags": ["vip"]}},
        {"text": "Привет", "ends_at": "2049-01-01T20:30:00Z", "send_window": {"from": "02:20", "until": "11:00"}},
    ):
        one = api.make("/mailings/", mailing(draft=True, **times | more))["id"]
        assert api.get(f"/mailings/{one}/preflight/")["warnings"]
        assert_russian(browser.see(f"/mailings/{one}/review/"), 200, more)


def send_file(browser: Browser, path: str, content: bytes, **fields: str) -> TestResponse:
    data = {"form_token": "", **fields, "file": (BytesIO(content), "a.csv")}
    return browser.http.post(f"/console{path}", data=data, content_type="multipart/form-data")


WRONG_FILES = [
    (b"", 422),
    (b"name,city\na,b\n", 422),
    (b"phone,phone\n79120000001,79120000001\n", 422),
    (b"79120000001,b\n", 422),
    (b"PK\x03\x04[Content_Types].xml", 415),
    (b"%PDF-1.4", 415),
]
LINES = "\n".join((
    "phone;tag;timezone;city",
    "79120000001;vip;Europe/Moscow;Омск",
    "12;vip;;",
    "=A1+2;;;",
    f"{PHONES[1]};{'x' * 70};Nowhere;",
    "9,12E+10;;;",
    f"{PHONES[1]};a;;b;c;d",
    f'{PHONES[1]};"a;;b',
    f"{PHONES[1]};;;{'y' * 1001}",
    f"{PHONES[0]},{PHONES[1]};;;",
))  # fmt: skip


def test_files(api: Api, browser: Browser) -> None:
    for content, status in WRONG_FILES:
        assert_russian(send_file(browser, "/imports/", content, what="take"), status, content)
        assert_russian(send_file(browser, "/suppressions/files/", content), status, content)
    assert_russian(send_file(browser, "/imports/", LINES.encode(), what="rehearse"), 200)
    assert send_file(browser, "/imports/", LINES.encode(), what="take").status_code == 303
    assert_russian(browser.see("/imports/1/"), 200)
    assert send_file(browser, "/suppressions/files/", LINES.encode()).status_code == 303
    assert_russian(browser.see("/suppressions/files/1/"), 200)
    lines = '{"phone": "1", "tag": 5, "no": 1}\n{"phone": "79120000001", "attributes": {"a": []}}\nx\n{"phone": 7}\n'
    assert_russian(send_file(browser, "/imports/", lines.encode(), what="rehearse"), 200)


ABSENT = (
    "/mailings/99/", "/messages/99/", "/clients/99/", "/segments/99/", "/suppressions/99/", "/imports/99/",
    "/suppressions/files/99/", "/providers/none/weight/", "/keys/ffffffffffff/revoke/", "/days/2999-01-01/",
    "/nowhere/", "/mailings/?state=none", "/clients/99/erase/", "/imports/99/refused/", "/clients/99/why/?mailing=99",
    "/mailings/99/review/",
)  # fmt: skip


def test_what_is_not_there(browser: Browser) -> None:
    for path in ABSENT:
        assert_russian(browser.see(path), 404, path)


def test_what_is_not_possible(api: Api, books: Books, browser: Browser) -> None:
    over = api.make("/mailings/", mailing(text="Привет"))["id"]
    assert api("POST", f"/mailings/{over}/cancel/").status == 200
    for path in (f"/mailings/{over}/pause/", f"/mailings/{over}/resume/"):
        assert_russian(browser.send(path), 409, path)
    assert_russian(browser.send(f"/mailings/{over}/test/", phones=PHONES[0]), 409)
    assert_russian(browser.see(f"/mailings/{over}/edit/"), 409)
    draft = api.make("/mailings/", mailing(text="Привет", draft=True))["id"]
    assert_russian(browser.send(f"/mailings/{draft}/pause/"), 409)
    for revision, status in (('"7"', 412), ("", 422)):
        written = test_compose.FILLED_IN | {"revision": revision}
        assert_russian(browser.send(f"/mailings/{draft}/edit/", **written), status, revision)
    running, _ = books.launched(1)
    assert_russian(browser.see(f"/mailings/{running}/review/"), 409)


def test_who_may_not(engine: Engine) -> None:
    locked = Api(engine, auth=True)
    own, readers = stored(engine, Scope.ADMIN), stored(engine, Scope.READ)
    reader = in_russian(signed_in(locked, readers))
    assert_russian(reader.see("/mailings/new/"), 403)
    assert_russian(in_russian(Browser(locked)).sign_in("nothing"), 403)
    admin = in_russian(signed_in(locked, own))
    for wrong in ({"name": ""}, {"scope": "all"}, {"days": "0"}, {"key_again": "nothing"}):
        filled_in = {"name": "Анна", "scope": "read", "days": "1", "key_again": str(own)}
        assert_russian(admin.send("/keys/new/", **filled_in | wrong), 422, wrong)


def test_why(api: Api, books: Books, browser: Browser) -> None:
    books.clients(2)
    for more in ({"draft": True}, {"filter": {"tags": ["vip", "b"]}}, {}):
        one = api.make("/mailings/", mailing(text="Привет", **more))["id"]
        assert_russian(browser.see(f"/clients/1/why/?mailing={one}"), 200, more)
    running, _ = books.launched(2)
    assert_russian(browser.see(f"/clients/1/why/?mailing={running}"), 200)
    end(books, running, FAILED, Error.REJECTED, first=1)
    assert_russian(browser.see(f"/clients/1/why/?mailing={running}"), 200)
