"""Writing a mailing on the console: from an empty form to its start."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from werkzeug.datastructures import MultiDict

from api_service.console import ticks
from api_service.mailings import counting
from api_service.web.key import Scope
from shared.audience.counting import count_clients
from shared.domain.segments import Audience
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import EVERYONE, Api, mailing

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


class Form(HTMLParser):
    """The form of a page as a browser sends it where nothing is touched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields = MultiDict[str, str]()
        self._text: str | None = None
        self.feed(html[html.index('<form method="post" class="card"') :].partition("</form>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "textarea":
            self._text = values["name"]
        elif tag == "select":
            self._chosen = values["name"]
        elif tag == "option" and "selected" in values:
            self.fields.add(self._chosen, values["value"])
        elif tag == "input" and (values.get("type") != "checkbox" or "checked" in values):
            self.fields.add(values["name"], values["value"])

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self.fields.add(self._text, data.removeprefix("\n").replace("\n", "\r\n"))
            self._text = None

    def changed(self, **fields: str) -> "MultiDict[str, str]":
        sent = self.fields.copy()
        for name, value in fields.items():
            assert name in sent, name
            sent[name] = value
        return sent


def form(browser: Browser, path: str = "/mailings/1/edit/") -> Form:
    return Form(browser.read(path))


def test_a_draft_is_written_on_as_it_was(api: Api, browser: Browser) -> None:
    segment = api.make("/segments/", {"name": "From Omsk", "filter": {"attributes": {"city": ["Омск"]}}})["id"]
    browser.send("/mailings/new/", **FILLED_IN, segments=[segment])
    assert "checked" in browser.read("/mailings/1/edit/")
    before = api.get("/mailings/1/")
    page = unescape(browser.read("/mailings/1/edit/"))
    for value in FILLED_IN.values():
        assert value in page
    again = browser.http.post("/console/mailings/1/edit/", data=form(browser).changed(name="Summer"))
    assert again.headers["Location"] == "/console/mailings/1/review/"
    after = api.get("/mailings/1/")
    assert after == before | {"name": "Summer", "revision": 2}


def test_what_no_form_can_show_stays_in_a_draft(api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has written it: seconds, values of every kind, commas in words, segments further down."""
    monkeypatch.setattr(ticks, "_FIRST", 1)
    first, last = (api.make("/segments/", {"name": name, "filter": {"tags": ["vip"]}})["id"] for name in "ab")
    taken = api("POST", "/clients/import/", data=b"phone\n79120000009\n", content_type="text/csv").json["id"]
    over = api.make("/mailings/", mailing())["id"]
    lists = {
        "operator_codes": ["912", "926"],
        "tags": ["", "a, b", '"c"', "vip"],
        "timezones": ["Asia/Omsk", "Europe/Moscow"],
        "attributes": {"age": [3, "3", 4.5], "city, town": ["Омск, Россия"], "member": [True]},
        "segments": [last],
        "imports": [taken],
    }
    path = "/mailings/2/"
    api.make(
        "/mailings/",
        mailing(
            text="  One\r\ntwo",
            draft=True,
            starts_at="2049-12-01T09:00:07.5+00:00",
            ends_at="2049-12-01T21:00:59+00:00",
            filter=lists | {"exclude": lists | {"segments": [first], "mailings": [over]}},
        ),
    )
    before = api.get(path)
    sent = form(browser, f"{path}edit/").changed(name="Summer")
    browser.http.post(f"/console{path}edit/", data=sent)
    assert api.get(path) == before | {"name": "Summer", "revision": 2}
    sent = form(browser, f"{path}edit/").changed(tags='"a, b", ""')
    browser.http.post(f"/console{path}edit/", data=sent)
    filter_ = before["filter"] | {"tags": ["", "a, b"]}
    assert api.get(path) == before | {"name": "Summer", "revision": 3, "filter": filter_}


def test_conditions_on_attributes_and_who_is_left_out(api: Api, browser: Browser) -> None:
    api.make("/clients/", {"phone": "79120000004", "tag": "vip", "attributes": {"city": "Омск", "age": 3}})
    api.make("/clients/", {"phone": "79120000005", "tag": "vip", "attributes": {"city": "Томск", "age": "3"}})
    wanted = form(browser, "/mailings/new/").changed(text="Hello")
    wanted.setlist("attribute_names", ["city", "age", ""])
    wanted.setlist("attribute_values", ["Омск, Томск", "3, 4", ""])
    counted = browser.http.post("/console/mailings/new/", data=wanted | {"count": "yes"})
    assert "At this moment 2 people match." in counted.text
    assert api.get("/mailings/") == []
    wanted = Form(counted.text).changed(exclude_tags="asleep")
    wanted.setlist("exclude_attribute_names", ["city"])
    wanted.setlist("exclude_attribute_values", ["Томск"])
    counted = browser.http.post("/console/mailings/new/", data=wanted | {"count": "yes"})
    assert "At this moment 1 person matches." in counted.text
    browser.http.post("/console/mailings/new/", data=Form(counted.text).fields)
    assert api.get("/mailings/1/")["filter"] == EVERYONE | {
        "attributes": {"age": ["3", "4", 3, 4], "city": ["Омск", "Томск"]},
        "exclude": EVERYONE["exclude"] | {"tags": ["asleep"], "attributes": {"city": ["Томск"]}},
    }
    assert form(browser).fields["attribute_values"] == "3, 4"


def test_who_cannot_be_counted_in_time_is_not_waited_for(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SECONDS", 0.05)
    monkeypatch.setattr(counting, "count_clients", lambda connection, _: connection.scalar(text("select pg_sleep(60)")))
    counted = browser.send("/mailings/new/", **FILLED_IN, count="yes")
    assert counted.status_code == 200
    assert "To count them takes too long." in counted.text
    assert "Dear {{ city }}" in counted.text


def test_a_form_that_was_refused_overwrites_nothing_that_came_meanwhile(api: Api, browser: Browser) -> None:
    browser.send("/mailings/new/", **FILLED_IN)
    seen = form(browser)
    assert api("PATCH", "/mailings/1/", {"text": "Another one"}).status == 200
    refused = browser.http.post("/console/mailings/1/edit/", data=seen.changed(operator_codes="12"))
    assert refused.status_code == 422
    mended = Form(refused.text).changed(operator_codes="912")
    assert browser.http.post("/console/mailings/1/edit/", data=mended).status_code == 412
    assert api.get("/mailings/1/")["text"] == "Another one"


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten_and_not_started(
    api: Api, browser: Browser
) -> None:
    browser.send("/mailings/new/", **FILLED_IN)
    assert api("PATCH", "/mailings/1/", {"text": "Another one"}).status == 200
    assert browser.send("/mailings/1/edit/", **FILLED_IN, revision='"1"').status_code == 412
    assert browser.send("/mailings/1/start/", seen_on="/mailings/1/review/", revision='"1"').status_code == 412
    assert (api.get("/mailings/1/")["text"], api.get("/mailings/1/")["state"]) == ("Another one", "draft")


WRONG: list[tuple[dict[str, Any], str]] = [
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
    ({"segments": ["7" * 5000]}, "Not a valid integer"),
    ({"imports": "77"}, "There is no import 77"),
    ({"exclude_mailings": "77"}, "There is no mailing 77"),
    ({"exclude_mailings": "Spring"}, "Not a valid integer"),
    ({"exclude_operator_codes": "12"}, "Must be three digits"),
    ({"attribute_names": "", "attribute_values": "Омск"}, "A name shows something"),
    ({"attribute_names": "city", "attribute_values": ""}, "city: Must have 1 to 1000 values"),
    ({"attribute_names": ["a", "a"], "attribute_values": ["1", "2"]}, "Is given twice"),
    ({"priority": "none"}, "Must be one of"),
    ({"name": "x" * 101}, "Length must be between 0 and 100"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
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


# ---------------------------------------------------------------- what a text costs


def looked_at(browser: Browser, written: str) -> str:
    token = re.search(r'name="form_token" value="(\w*)"', browser.read("/mailings/new/"))
    assert token
    fields = {"form_token": token[1], "text": written, "name": "not wanted here"}
    response = browser.http.post("/console/mailings/text/", data=fields, headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["X-Live"]) == (200, "on")
    Page(response.text)
    return unescape(response.text)


def test_what_makes_a_text_cost_more_is_marked_while_it_is_written(browser: Browser) -> None:
    seen = looked_at(browser, "“Sale”\u00a0– <b>today" + "!" * 60)
    assert "SMS a person: 2;" in seen
    assert "SMS a person without them: 1" in seen
    for marked in ('“</del><ins>"', "–</del><ins>-", "NO-BREAK SPACE</del><ins>␣"):
        assert f"<mark><del>{marked}</ins></mark>" in seen
    assert "Sale<mark>" in seen
    said = seen[seen.index('role="status"') : seen.index("</p>", seen.index('role="status"'))]
    assert 'LEFT DOUBLE QUOTATION MARK: write <code>"</code>' in said
    assert "70" in said
    assert "2;" not in said  # what changes with every letter is not said aloud


def test_what_nothing_looks_like_is_left_out(browser: Browser) -> None:
    seen = looked_at(browser, "Sale 😀")
    assert "<mark><del>😀</del></mark>" in seen
    assert "GRINNING FACE: leave it out." in seen


@pytest.mark.parametrize("written", ["Sale", "Распродажа – сегодня", ""])
def test_where_there_is_nothing_to_be_won_nothing_is_marked(browser: Browser, written: str) -> None:
    seen = looked_at(browser, written)
    assert "<mark>" not in seen
    assert "SMS a person: 1;" in seen
    assert '<p role="status" class="mb-1"></p>' in seen


def test_without_scripts_it_stands_on_the_pages(browser: Browser) -> None:
    counted = browser.send("/mailings/new/", **FILLED_IN | {"text": "It’s {{ city }}"}, count="yes")
    review = browser.send("/mailings/new/", **FILLED_IN | {"text": "It’s {{ city }}"})
    for page in (counted.text, browser.http.get(review.headers["Location"]).text):
        Page(page)
        assert "It<mark><del>’</del><ins>&#39;</ins></mark>s {{ city }}" in page
        assert "SMS a person without them" not in page  # that depends on whose city it is
    assert "depends on whom it is for" in counted.text


@pytest.mark.parametrize("path", ["/mailings/text/", "/mailings/new/people/", "/mailings/1/edit/people/"])
def test_nothing_is_looked_at_for_somebody_who_may_not_write(engine: Engine, path: str) -> None:
    reader = signed_in(Api(engine, auth=True), stored(engine, Scope.READ))
    assert reader.send(path, seen_on="/", text="x").status_code == 403


# ---------------------------------------------------------------- whom it is for, while that is written


def counted(browser: Browser, of: str = "new", **fields: str) -> str:
    response = browser.send(f"/mailings/{of}/people/", seen_on="/mailings/new/", **fields)
    assert (response.status_code, response.headers["X-Live"]) == (200, "on")
    return unescape(response.text).strip()


def test_people_are_counted_while_it_is_written_whom_it_is_for(api: Api, browser: Browser) -> None:
    assert counted(browser) == "At this moment 3 people match."
    assert counted(browser, tags="vip") == "At this moment 2 people match."
    assert counted(browser, tags="vi") == "At this moment 0 people match."
    assert counted(browser, timezones="Asia/Om") == ""  # half a word: nobody is reproached with it
    browser.send("/mailings/new/", **FILLED_IN)
    assert counted(browser, of="1/edit", tags="regular") == "At this moment 1 person matches."
    assert api.get("/mailings/1/")["revision"] == 1  # nothing is changed by that


def asleep(connection: Connection, _: object) -> None:
    connection.execute(text("select pg_sleep(60)"))


def test_about_how_many_they_are_is_said_where_counting_takes_long(
    engine: Engine, api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among ten million nothing was said at all."""
    with engine.begin() as connection:
        connection.execute(
            text("""
            insert into clients (id, phone, operator_code, tag, timezone) overriding system value
            select n * 10, 79990000000 + n, '999', case when n % 2 = 0 then 'vip' else '' end, 'UTC'
            from generate_series(1, 20000) n
        """)
        )
    monkeypatch.setattr(counting, "count_clients", asleep)
    monkeypatch.setattr(counting, "MEANWHILE", 0.5)
    said = counted(browser, tags="vip")
    found = re.fullmatch(r"At this moment about (\d{1,2},\d00) people match.", said)
    assert found, said
    assert 8_000 <= int(found[1].replace(",", "")) <= 12_000
    assert counted(browser, tags="nobody") == "To count them takes too long."  # of too few nobody can tell


def test_few_are_counted_all_the_same_where_that_takes_a_while(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(connection: Connection, audience: Audience) -> int:
        connection.execute(text("select pg_sleep(0.2)"))
        return count_clients(connection, audience)

    monkeypatch.setattr(counting, "count_clients", slow)
    monkeypatch.setattr(counting, "MEANWHILE", 30)
    assert counted(browser, tags="vip") == "At this moment 2 people match."
