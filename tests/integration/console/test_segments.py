"""Segments on the console: from an empty form to the end of one, and what is in the way of it."""

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import Engine

from api_service.console import segments, ticks
from api_service.web.key import Scope, Token
from tests.integration.console.test_compose import form
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import Api, mailing

CLIENTS = [("79120000001", "vip", "Омск"), ("79120000002", "vip", "Томск"), ("79120000003", "", "Омск")]
FILLED_IN = {"name": "Regulars", "tags": "gold, vip", "attribute_names": "city"}
FILLED_IN |= {"attribute_values": "Омск", "exclude_operator_codes": "926"}


@pytest.fixture
def api(engine: Engine) -> Api:
    api = Api(engine)
    for phone, tag, city in CLIENTS:
        api.make("/clients/", {"phone": phone, "tag": tag, "attributes": {"city": city}})
    return api


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


def made(api: Api, name: str = "Regulars", **wanted: Any) -> int:
    return int(api.make("/segments/", {"name": name, "filter": wanted})["id"])


def send(browser: Browser, path: str, seen_on: str | None = None, **fields: Any) -> Any:
    """With the revision that the page has."""
    revision = re.search(r'name="revision" value="([^"]*)"', browser.see(seen_on or path).text)
    return browser.send(path, seen_on, revision=unescape(revision[1]) if revision else "", **fields)


def test_one_is_made_is_looked_at_in_words_and_counted(api: Api, browser: Browser) -> None:
    assert "/console/segments/new/" in browser.read("/segments/")
    assert browser.send("/segments/new/", **FILLED_IN).headers["Location"] == "/console/segments/1/"
    stored_ = api.get("/segments/1/")
    assert (stored_["name"], stored_["count"]) == ("Regulars", 1)
    assert (stored_["filter"]["tags"], stored_["filter"]["attributes"]) == (["gold", "vip"], {"city": ["Омск"]})
    assert stored_["filter"]["exclude"]["operator_codes"] == ["926"]
    page = browser.read("/segments/1/")
    Page(page)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "1 person is in it now" in words
    assert "tag: gold or vip" in words
    assert "city: Омск" in words
    assert "But nobody of whom any of this is true: operator code: 926" in words
    assert api.get("/audit/?thing=segment")[0]["action"] == "create"


def test_it_is_changed_as_it_was_and_loses_nothing(api: Api, browser: Browser) -> None:
    other = made(api, "Others", tags=["x"])
    of_file = api("POST", "/clients/import/", data=b"phone\n79120000009\n", content_type="text/csv").json["id"]
    sent = api.make("/mailings/", mailing())["id"]
    wanted = {
        "tags": ["vip", "", "a, b"],
        "attributes": {"visits": [3, "3", True]},
        "segments": [other],
        "imports": [of_file],
        "exclude": {"mailings": [sent], "timezones": ["Asia/Omsk"]},
    }
    one = made(api, "Wide", **wanted)
    before = api.get(f"/segments/{one}/")
    shown = browser.read(f"/segments/{one}/edit/")
    Page(shown)
    assert re.search("<details[^>]* open>", shown), "somebody is left out"
    sent_again = form(browser, f"/segments/{one}/edit/").changed(name="Wider")
    assert browser.http.post(f"/console/segments/{one}/edit/", data=sent_again).status_code == 303
    assert api.get(f"/segments/{one}/") == before | {"name": "Wider", "revision": 2}
    page = browser.read(f"/segments/{one}/")
    for path in (f"segments/{other}/", f"imports/{of_file}/", f"mailings/{sent}/"):
        assert f'href="/console/{path}"' in page


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(api: Api, browser: Browser) -> None:
    one = made(api, tags=["vip"])
    assert api("PATCH", f"/segments/{one}/", {"name": "Another one"}).status == 200
    assert browser.send(f"/segments/{one}/edit/", **FILLED_IN, revision='"1"').status_code == 412
    assert browser.send(f"/segments/{one}/delete/", revision='"1"').status_code == 412
    assert api.get(f"/segments/{one}/")["name"] == "Another one"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "Length must be between"),
    ({"name": "x" * 65}, "Length must be between"),
    ({"operator_codes": "12"}, "Must be three digits"),
    ({"exclude_timezones": "Nowhere/Land"}, "IANA"),
    ({"attribute_values": ""}, "Must have 1 to"),
    ({"attribute_names": ""}, "A name shows something"),
    ({"segments": ["77"]}, "There is no segment 77"),
    ({"segments": "a"}, "Not a valid integer"),
    ({"imports": "77"}, "There is no import 77"),
    ({"exclude_mailings": "77"}, "There is no mailing 77"),
]


def test_what_is_wrong_stands_beside_its_field_and_what_was_written_stays(api: Api, browser: Browser) -> None:
    for wrong, sentence in WRONG:
        response = browser.send("/segments/new/", **FILLED_IN | wrong)
        assert response.status_code == 422, wrong
        assert sentence in unescape(response.text), wrong
        assert "gold" in response.text
        Page(response.text)
    assert api.get("/segments/") == []


def test_a_circle_is_refused_in_words(api: Api, browser: Browser) -> None:
    lower = made(api, "Lower", tags=["vip"])
    upper = made(api, "Upper", segments=[lower])
    response = send(browser, f"/segments/{lower}/edit/", name="Lower", segments=[str(upper)])
    assert response.status_code == 422
    assert "in a circle" in response.text


def test_one_that_is_named_stays_and_its_page_says_by_what(api: Api, browser: Browser) -> None:
    one = made(api, tags=["vip"])
    above = made(api, "Above", segments=[one])
    draft = api.make("/mailings/", {"text": "Hello", "draft": True, "name": "Spring", "filter": {"segments": [one]}})
    due = api.make("/mailings/", mailing(filter={"segments": [one]}))
    asked = browser.read(f"/segments/{one}/delete/")
    assert "Delete the segment" not in asked
    refused = browser.send(f"/segments/{one}/delete/", revision='"1"')  # by who has had the page open since before
    assert refused.status_code == 409
    for page in (browser.read(f"/segments/{one}/"), asked, refused.text):
        Page(page)
        found = " ".join(re.sub(r"<[^>]+>", " ", page).split())
        for user in (f"Segment {above} : Above", f"Draft {draft['id']} : Spring", f"Mailing {due['id']}"):
            assert user in found
    for path in (f"/mailings/{draft['id']}/", f"/mailings/{due['id']}/", f"/segments/{above}/"):
        assert api("DELETE", path).status == 204
    assert "Delete the segment" in browser.read(f"/segments/{one}/delete/")
    assert send(browser, f"/segments/{one}/delete/").headers["Location"] == "/console/segments/"
    assert api.get("/segments/") == []


def test_what_takes_long_to_count_does_not_keep_the_page(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(api, tags=["vip"])
    api.execute("alter table clients rename to counted")
    api.execute("create view clients as select * from counted where pg_sleep(0.05) is not null")
    api.execute("grant select on clients to public")
    try:
        page = browser.read(f"/segments/{one}/")
        assert "They are being counted" in page
        live = browser.see(f"/segments/{one}/count/")
        assert live.headers["X-Live"] == "over"
        assert ">2</span>" in live.text
        assert ">2</span>" in browser.read(f"/segments/{one}/?count=yes")
        monkeypatch.setattr(segments, "COUNT_SECONDS", 0.05)
        assert "Counting takes too long" in browser.read(f"/segments/{one}/?count=yes")
    finally:
        api.execute("drop view clients")
        api.execute("alter table counted rename to clients")


def test_many_can_be_named_and_listed(api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "_FIRST", 2)
    ids = [made(api, f"Segment {number}") for number in range(30)]
    one = made(api, "Upper", segments=[ids[-1]])
    shown = browser.read(f"/segments/{one}/edit/")
    assert f'value="{ids[-1]}" checked' in shown
    assert f'value="{ids[-2]}"' not in shown
    typed = form(browser, f"/segments/{one}/edit/").fields.copy()
    typed.setlist("segments", [*typed.getlist("segments"), f"{ids[-2]}, {ids[-3]}"])
    assert browser.http.post(f"/console/segments/{one}/edit/", data=typed).status_code == 303
    assert api.get(f"/segments/{one}/")["filter"]["segments"] == ids[-3:]
    further = re.search(r'href="(\?after=\d+)"', browser.read("/segments/"))
    assert further
    seen = browser.read("/segments/") + browser.read(f"/segments/{further[1]}")
    assert [int(one) for one in re.findall(r'href="/console/segments/(\d+)/"', seen)] == [*ids, one]


def test_who_may_only_look_is_shown_no_button_and_refused(engine: Engine, api: Api) -> None:
    one = made(api, tags=["vip"])
    keys = [stored(engine, scope) for scope in (Scope.READ, Scope.TEST)]
    locked = Api(engine, auth=True)
    for key in keys:
        browser = signed_in(locked, key)
        for path in (f"/segments/{one}/", "/segments/"):
            assert not re.search(r"segments/(new|\d+/(edit|delete))/", browser.read(path))
        for path in ("/segments/new/", f"/segments/{one}/edit/", f"/segments/{one}/delete/"):
            assert browser.see(path).status_code == 403
            assert browser.send(path, seen_on="/segments/", **FILLED_IN).status_code == 403
    assert [segment["revision"] for segment in api.get("/segments/")] == [1]


def test_a_test_key_sees_no_mailing_that_is_really_sent(engine: Engine, api: Api) -> None:
    one = made(api, tags=["vip"])
    api.make("/mailings/", mailing(name="Secret", filter={"segments": [one]}))
    test, read = (stored(engine, scope) for scope in (Scope.TEST, Scope.READ))
    locked = Api(engine, auth=True)
    assert "Secret" not in signed_in(locked, test).read(f"/segments/{one}/")
    assert "Secret" in signed_in(locked, read).read(f"/segments/{one}/")


def test_no_form_of_another_site_does_anything(engine: Engine, api: Api) -> None:
    one = made(api, tags=["vip"])
    key: Token = stored(engine, Scope.WRITE)
    browser = signed_in(Api(engine, auth=True), key)
    for path in ("/segments/new/", f"/segments/{one}/edit/", f"/segments/{one}/delete/"):
        for token in ("", "x" * 64):
            fields = {**FILLED_IN, "revision": '"1"', "form_token": token}
            assert browser.http.post(f"/console{path}", data=fields).status_code == 403
    assert [segment["revision"] for segment in api.get("/segments/")] == [1]
