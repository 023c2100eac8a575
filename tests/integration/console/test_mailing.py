"""The page of a mailing: how fast it goes out, what went wrong, what providers said later, and whose messages those
are."""

import re
from html import unescape

import pytest

from api_service.tracking import in_common
from shared.domain.message import Error
from shared.ledger.moments import note_moments
from tests.integration.console.test_pages import Browser, Page
from tests.integration.mailings.test_retries import UNKNOWN, end
from tests.support.api import Api
from tests.support.books import FAILED, SENT, Books
from tests.support.receipt_sender import PATH, gateways


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine, providers=gateways())


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


@pytest.fixture
def mailing_id(books: Books) -> int:
    """To ten: 1 to 3 were refused, 4 was not answered, 5 to 8 are sent."""
    mailing_id, _ = books.launched(10)
    end(books, mailing_id, FAILED, Error.REJECTED, first=3)
    end(books, mailing_id, UNKNOWN, Error.TIMED_OUT, first=1)
    end(books, mailing_id, SENT, None, first=4)
    return mailing_id


def listed(browser: Browser, address: str) -> list[int]:
    """Whose messages a page lists, to its end."""
    found: list[int] = []
    more: str | None = address
    while more:
        page = browser.read(more)
        Page(page)
        found += map(int, re.findall(r'/console/messages/(\d+)/"', page))
        link = re.search(r'<a class="btn" href="(\?[^"]*after=\d+)"', page)
        more = link and address.partition("?")[0] + unescape(link[1])
    return found


def filed(browser: Browser, mailing_id: int, query: str) -> list[int]:
    """The ids in the file that the page with that query offers."""
    assert f'href="/console/mailings/{mailing_id}/file/?{query}"' in browser.read(f"/mailings/{mailing_id}/?{query}")
    response = browser.see(f"/mailings/{mailing_id}/file/?{query}")
    _, *lines = response.text.splitlines()
    response.close()
    return [int(line.partition(",")[0]) for line in lines]


def test_each_error_leads_to_its_messages(books: Books, browser: Browser, mailing_id: int) -> None:
    page = browser.read(f"/mailings/{mailing_id}/")
    ids = books.ids(mailing_id)
    for error, whose in (("rejected", ids[:3]), ("timed_out", ids[3:4])):
        address = f"/mailings/{mailing_id}/?error={error}"
        assert f'href="/console{address}#messages"' in page
        assert listed(browser, address) == whose == filed(browser, mailing_id, f"error={error}")
    assert "Messages: the provider refused this message for good" in browser.read(
        f"/mailings/{mailing_id}/?error=rejected"
    )


def test_what_providers_said_later_leads_to_the_messages(
    books: Books, api: Api, browser: Browser, mailing_id: int
) -> None:
    assert "What providers said later" not in browser.read(f"/mailings/{mailing_id}/")
    ids = books.ids(mailing_id)
    said = [{"id": ids[3], "status": "delivered"}, {"id": ids[4], "status": "delivered"}]
    said.append({"id": ids[5], "status": "failed", "reason": "absent <b>subscriber"})
    said.append({"id": ids[6], "status": "queued"})
    assert api("POST", PATH, said).status == 200
    page = browser.read(f"/mailings/{mailing_id}/")
    for name, whose in (("delivered", ids[4:5]), ("undelivered", ids[5:6]), ("unknown_delivered", ids[3:4])):
        address = f"/mailings/{mailing_id}/?receipt={name}"
        assert f'href="/console{address}#messages"' in page
        assert listed(browser, address) == whose == filed(browser, mailing_id, f"receipt={name}")
    assert "receipt=unknown_undelivered" not in page
    assert "<td>nothing yet</td><td>2</td>" in page
    for seen in (browser.read(f"/mailings/{mailing_id}/?receipt=undelivered"), browser.read(f"/messages/{ids[5]}/")):
        assert "not delivered: <q>absent &lt;b&gt;subscriber</q>" in seen
    assert "on its way" in browser.read(f"/messages/{ids[6]}/")


def test_a_large_mailing_is_looked_through_part_by_part(
    books: Books, browser: Browser, mailing_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds nothing within a moment is shown the way on."""
    other, ids = books.launched(9)
    books.record(FAILED, books.claim(other, ids[-2:-1]), Error.REJECTED)
    for seconds in (0.0, 60.0):
        monkeypatch.setattr(in_common, "SECONDS", seconds)
        monkeypatch.setattr(in_common, "SLICE", 2)
        assert listed(browser, f"/mailings/{other}/?error=rejected") == ids[-2:-1]
        assert listed(browser, f"/mailings/{mailing_id}/?error=rejected") == books.ids(mailing_id)[:3]


def test_what_is_none_is_no_page(browser: Browser, mailing_id: int) -> None:
    for query in ("error=sent", "receipt=awaiting", "error=%00", "receipt='"):
        assert browser.see(f"/mailings/{mailing_id}/?{query}").status_code == 404


# ---------------------------------------------------------------- how fast


def figures(page: str) -> list[tuple[str, str]]:
    """Of the bars: accepted, failed."""
    course = page[page.index('id="course"') :]
    return re.findall(r"</time></td><td>(\d+)</td><td>(\d+)</td><td>", course[: course.index("</table>")])


def test_how_fast_it_goes_out_is_drawn_and_told(books: Books, browser: Browser, mailing_id: int) -> None:
    with books.engine.begin() as connection:
        note_moments(connection, 0, 100)
    books.run("update mailing_counters set first_sent_at = first_sent_at - interval '60 s'")
    books.run("update mailing_moments set at = at - interval '50 s'")
    end(books, mailing_id, SENT, None, first=2)
    for path in (f"/mailings/{mailing_id}/", f"/mailings/{mailing_id}/live/"):
        page = browser.read(path)
        assert "How fast it goes out" in page
        assert "a bar for each 10 seconds, the latest on the right, at most 8" in page
        assert figures(page) == [("4", "4"), ("2", "0")]


def test_how_fast_it_went_out_stays(books: Books, browser: Browser, mailing_id: int) -> None:
    with books.engine.begin() as connection:
        note_moments(connection, 0, 100)
    end(books, mailing_id, SENT, None, first=2)
    assert books.finish([mailing_id]) == [mailing_id]
    for moments, counters in (("50 s", "60 s"), ("1 d", "1 d")):
        books.run(f"update mailing_counters set first_sent_at = first_sent_at - interval '{counters}'")
        books.run(f"update mailing_moments set at = at - interval '{moments}'")
        page = browser.read(f"/mailings/{mailing_id}/")
        assert "How fast it went out" in page
        assert figures(page) == [("4", "4"), ("2", "0")]
    books.run("delete from mailing_moments")  # as of one that was over before there were any
    assert 'id="course"' not in browser.read(f"/mailings/{mailing_id}/")


def test_of_what_nothing_has_come_there_is_no_plot(books: Books, browser: Browser) -> None:
    mailing_id, _ = books.launched(2)
    assert 'id="course"' not in browser.read(f"/mailings/{mailing_id}/")
