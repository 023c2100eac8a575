"""Writing a mailing on the console: from an empty form to its start."""

from html import unescape
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.integration.console.test_pages import Browser, Page
from tests.support.api import Api

CLIENTS = [("79120000001", "vip", "Омск"), ("79120000002", "vip", None), ("79120000003", "regular", "Омск")]
FILLED_IN = {
    "name": "Spring",
    "text": "Dear {{ city }}",
    "tags": "gold, vip",
    "starts_at": "2049-12-01T09:00",
    "ends_at": "2049-12-01T21:00",
    "window_from": "10:00",
    "window_until": "20:00",
    "priority": "urgent",
}


@pytest.fixture
def api(engine: Engine) -> Api:
    api = Api(engine)
    for phone, tag, city in CLIENTS:
        api.make("/clients/", {"phone": phone, "tag": tag, "attributes": {"city": city} if city else {}})
    return api


@pytest.fixture
def browser(api: Api) -> Browser:
    browser = Browser(api)
    browser.http.set_cookie("zone", "Asia/Omsk", path="/console/")
    return browser


def test_what_is_written_is_a_draft_is_looked_at_and_started(api: Api, browser: Browser) -> None:
    assert "/console/mailings/new/" in browser.read("/mailings/")
    written = browser.send("/mailings/new/", **FILLED_IN)
    assert written.headers["Location"] == "/console/mailings/1/review/"
    draft = api.get("/mailings/1/")
    assert (draft["state"], draft["name"], draft["priority"]) == ("draft", "Spring", "urgent")
    assert draft["filter"]["tags"] == ["gold", "vip"]
    assert (draft["starts_at"], draft["ends_at"]) == ("2049-12-01T03:00:00+00:00", "2049-12-01T15:00:00+00:00")
    assert draft["send_window"] == {"from": "10:00", "until": "20:00"}
    seen = browser.read("/mailings/1/review/")
    Page(seen)
    assert "Start it: 2 people" in seen
    assert "Dear Омск" in seen
    assert "their text lacks a value" in seen  # of the one without a city
    for warning in api.get("/mailings/1/preflight/")["warnings"]:
        assert warning["message"] in unescape(seen)
    started = browser.send("/mailings/1/start/", seen_on="/mailings/1/review/", revision='"1"')
    assert started.headers["Location"] == "/console/mailings/1/"
    assert api.get("/mailings/1/")["state"] == "scheduled"
    assert browser.see("/mailings/1/edit/").status_code == 409
    assert browser.see("/mailings/1/review/").status_code == 409


def test_a_draft_is_written_on_as_it_was(api: Api, browser: Browser) -> None:
    segment = api.make("/segments/", {"name": "From Omsk", "filter": {"attributes": {"city": ["Омск"]}}})["id"]
    browser.send("/mailings/new/", **FILLED_IN, segments=[segment])
    assert "checked" in browser.read("/mailings/1/edit/")
    before = api.get("/mailings/1/")
    page = unescape(browser.read("/mailings/1/edit/"))
    for value in FILLED_IN.values():
        assert value in page
    again = browser.send("/mailings/1/edit/", **FILLED_IN | {"name": "Summer"}, segments=[segment], revision='"1"')
    assert again.headers["Location"] == "/console/mailings/1/review/"
    after = api.get("/mailings/1/")
    assert after == before | {"name": "Summer", "revision": 2}


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten_and_not_started(
    api: Api, browser: Browser
) -> None:
    browser.send("/mailings/new/", **FILLED_IN)
    assert api("PATCH", "/mailings/1/", {"text": "Another one"}).status == 200
    assert browser.send("/mailings/1/edit/", **FILLED_IN, revision='"1"').status_code == 412
    assert browser.send("/mailings/1/start/", seen_on="/mailings/1/review/", revision='"1"').status_code == 412
    assert (api.get("/mailings/1/")["text"], api.get("/mailings/1/")["state"]) == ("Another one", "draft")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"text": ""}, "Length must be between"),
        ({"text": " \u200b"}, "Shows nothing"),
        ({"text": "{{ a"}, "Line 1"),
        ({"operator_codes": "12"}, "Must be three digits"),
        ({"timezones": "Nowhere/Land"}, "IANA"),
        ({"starts_at": "tomorrow"}, "Must be a day and a time"),
        ({"ends_at": "2049-12-01T08:00"}, "Must be later than starts_at"),
        ({"window_until": ""}, "Must be a time of day"),
        ({"window_until": "10:00"}, "Must differ from"),
        ({"segments": ["77"]}, "There is no segment"),
        ({"priority": "none"}, "Must be one of"),
        ({"name": "x" * 101}, "Length must be between 0 and 100"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_written_stays(
    api: Api, browser: Browser, wrong: dict[str, Any], sentence: str
) -> None:
    response = browser.send("/mailings/new/", **FILLED_IN | wrong)
    assert response.status_code == 422
    assert sentence in unescape(response.text)
    assert "Spring" in response.text or "name" in wrong
    Page(response.text)
    assert api.get("/mailings/") == []


def test_a_draft_without_times_is_kept_and_says_what_it_lacks(api: Api, browser: Browser) -> None:
    browser.send("/mailings/new/", text="Hello")
    assert api.get("/mailings/1/")["starts_at"] is None
    page = browser.read("/mailings/1/review/")
    assert "no beginning or no end yet" in page
    assert "Start it" not in page


def test_what_reaches_nobody_cannot_be_started(api: Api, browser: Browser) -> None:
    browser.send("/mailings/new/", **FILLED_IN | {"tags": "nobody"})
    page = browser.read("/mailings/1/review/")
    assert "It cannot be started" in page
    assert "Start it" not in page
    refused = browser.send("/mailings/1/start/", seen_on="/mailings/1/review/", revision='"1"')
    assert "It cannot be started" in refused.text
    assert api.get("/mailings/1/")["state"] == "draft"
