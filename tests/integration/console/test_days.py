"""The daily report on the console: the same figures as by e-mail."""

from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from api_service.web.key import Scope
from shared.domain.message import Error
from shared.ledger import report
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import Api
from tests.support.books import FAILED, SENT, Books

OMSK = ZoneInfo("Asia/Omsk")


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine, report_timezone=OMSK)


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


def finished(books: Books, sent: int, failed: int) -> int:
    """A mailing of which so many were sent, and so many failed, today."""
    mailing_id, ids = books.launched(sent + failed)
    messages = books.claim(mailing_id, ids)
    books.record(SENT, messages[:sent])
    books.record(FAILED, messages[sent:], Error.REJECTED)
    return mailing_id


def when(books: Books) -> datetime:
    """In which quarter of an hour it was."""
    found: datetime = books.run("select max(quarter) as at from tallies")[0].at
    return found.astimezone(OMSK)


def test_a_day_is_as_its_report_has_it(books: Books, browser: Browser) -> None:
    mailing_id = finished(books, 7, 3)
    at = when(books)
    listed = browser.read("/days/")
    Page(listed)
    assert f'<a href="/console/days/{at.date()}/">' in listed
    assert "<td>7</td><td>3</td>" in listed
    assert "at most 10" in listed
    shown = browser.read(f"/days/{at.date()}/")
    Page(shown)
    with books.engine.connect() as connection:
        of_mail = report.read(connection, at.date(), OMSK)
    assert (of_mail.finished, of_mail.accepted_permille) == (10, 700)
    page = unescape(shown)
    assert '<div class="h1 mb-0">10</div>' in page
    assert "70%" in page
    assert "the provider refused this message for good" in page
    assert f'/console/mailings/{mailing_id}/">' in page
    assert f"<td>{at:%H}:00</td><td>7</td><td>3</td>" in page
    assert shown.count("<rect") == 2 + 2  # a bar of two parts, and what the colours mean


def test_a_mailing_that_is_deleted_stays_in_its_day_without_its_page(books: Books, api: Api, browser: Browser) -> None:
    mailing_id = finished(books, 1, 0)
    assert api("DELETE", f"/mailings/{mailing_id}/").status == 204
    page = browser.read(f"/days/{when(books).date()}/")
    assert f"/console/mailings/{mailing_id}/" not in page
    assert f"<td>{mailing_id} " in page


def test_days_are_those_of_the_report_and_are_walked_backwards(books: Books, browser: Browser) -> None:
    for count, quarter in ((2, "2024-02-29T17:45Z"), (5, "2024-02-29T18:00Z")):  # between them a day begins in Omsk
        books.run("update tallies set quarter = :at where mailing_id = :id", id=finished(books, count, 0), at=quarter)
    page = browser.read("/days/?before=2024-03-04")
    assert "Fri, 1 Mar 2024</a></td><td>5</td>" in page
    assert "Thu, 29 Feb 2024</a></td><td>2</td>" in page
    assert 'href="?before=' not in page  # there is nothing earlier
    assert 'href="?before=' in browser.read("/days/")
    assert 'href="?before=2024-03-02"' in browser.read("/days/?before=2024-03-09")


def test_a_day_without_a_message_has_its_page(browser: Browser) -> None:
    yesterday = datetime.now(OMSK).date() - timedelta(days=1)
    Page(browser.read(f"/days/{yesterday}/"))
    browser.http.set_cookie("language", "ru", path="/console/")
    Page(browser.read(f"/days/{yesterday}/"))


@pytest.mark.parametrize(
    "path",
    [
        *("/days/?before=x", "/days/?before=1999-12-31", "/days/none/", "/days/2024-02-30/", "/days/20240229/"),
        *("/days/2101-01-01/", "/days/9999-12-31/", "/days/0001-01-01/", "/days/2024-W01-1/"),
    ],
)
def test_what_is_no_day(browser: Browser, path: str) -> None:
    assert browser.see(path).status_code == 404


def test_tomorrow_is_not_there_yet(browser: Browser) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    assert browser.see(f"/days/{tomorrow}/").status_code == 404


def test_a_key_for_tests_sees_nothing_of_what_is_really_sent(books: Books) -> None:
    finished(books, 7, 3)
    locked = Api(books.engine, auth=True, report_timezone=OMSK)
    browser = signed_in(locked, stored(books.engine, Scope.TEST))
    assert "<td>7</td>" not in browser.read("/days/")
    assert browser.see(f"/days/{when(books).date()}/").status_code == 404
