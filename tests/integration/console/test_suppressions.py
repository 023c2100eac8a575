"""The list of suppressions on the console: asked, added to, lifted, and filled from a file."""

import re
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import Engine

from api_service.directory import batch, suppressing, suppression_file
from api_service.web.key import Scope
from api_service.web.work import Work
from shared.audit import Actor
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import DIGESTS, Api, running

PHONE, SPELLED = "79120000001", "8 (912) 000-00-01"


@pytest.fixture
def api(engine: Engine) -> Api:
    api = Api(engine)
    api.make("/clients/", {"phone": PHONE})
    return api


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


def suppress(api: Api, phone: str = PHONE, **more: Any) -> int:
    return int(api.make("/suppressions/", {"phone": phone, **more})["id"])


def send_file(browser: Browser, content: bytes, **fields: str) -> Any:
    token = re.search(r'name="form_token" value="(\w*)"', browser.read("/suppressions/files/"))
    assert token
    data = {"form_token": token[1], **fields, "file": (BytesIO(content), "Стоп.csv")}
    return browser.http.post("/console/suppressions/files/", data=data, content_type="multipart/form-data")


def test_a_phone_is_put_on_the_list_however_it_is_spelled(api: Api, browser: Browser) -> None:
    one = api.make("/mailings/", running())["id"]
    assert api.launch(one) == 1
    answer = browser.send("/suppressions/", phone=SPELLED, reason="STOP by SMS")
    assert answer.headers["Location"] == "/console/suppressions/1/"
    [stored_] = api.get(f"/suppressions/?phone={PHONE}")
    assert (stored_["reason"], stored_["source"], stored_["client_id"]) == ("STOP by SMS", "console", 1)
    assert api.get(f"/mailings/{one}/detail_statistics/")["skipped_because"] == {"opted_out": 1}
    page = browser.read("/suppressions/1/")
    Page(page)
    assert "STOP by SMS" in page
    assert 'href="/console/clients/1/"' in page
    assert "1 phone must not be written to" in browser.read("/suppressions/")
    browser.send("/suppressions/", phone=PHONE, reason="another")
    assert api.get(f"/suppressions/?phone={PHONE}") == [stored_], "it stays as it is"


def test_a_phone_is_asked_for(api: Api, browser: Browser) -> None:
    one = suppress(api)
    found = browser.see("/suppressions/", query_string={"phone": SPELLED})
    assert found.headers["Location"] == f"/console/suppressions/{one}/"
    free = browser.see("/suppressions/", query_string={"phone": "8 (912) 000-00-02"}).text
    assert "is not on the list" in free
    assert free.count('value="8 (912) 000-00-02"') == 2, "it stands in the form that would add it, too"
    for wrong in ("12", "<b>"):
        answer = browser.see("/suppressions/", query_string={"phone": wrong})
        assert 'role="alert"' in answer.text
        Page(answer.text)
    assert PHONE not in browser.read("/suppressions/") + browser.read(f"/suppressions/{one}/")


def test_what_is_wrong_stands_beside_its_field(api: Api, browser: Browser) -> None:
    for fields, sentence in (
        ({"phone": "12", "reason": "because"}, "Must be 11 digits"),
        ({"phone": PHONE, "reason": "x" * 201}, "Longer than maximum length 200"),
    ):
        answer = browser.send("/suppressions/", **fields)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert unescape(answer.text).count(f'value="{fields["reason"]}"') == 1
        Page(answer.text)
    assert api.get("/suppressions/") == []


def test_one_is_lifted_after_a_question(api: Api, browser: Browser) -> None:
    of_client, of_nobody = suppress(api, reason="STOP"), suppress(api, "79990000000")
    asked = browser.read(f"/suppressions/{of_client}/lift/")
    assert "STOP" in asked
    assert len(api.get("/suppressions/")) == 2
    assert browser.send(f"/suppressions/{of_client}/lift/").headers["Location"] == "/console/clients/1/"
    assert browser.send(f"/suppressions/{of_nobody}/lift/").headers["Location"] == "/console/suppressions/"
    assert api.get("/suppressions/") == []
    assert browser.send(f"/suppressions/{of_client}/lift/", seen_on="/suppressions/").status_code == 404


def test_a_list_of_many_is_walked_and_not_counted_to_its_end(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"7999{number:07}\n" for number in range(60))
    answer = api("POST", "/suppressions/import/", data=f"phone\n{lines}".encode(), content_type="text/csv")
    assert answer.json["created"] == 60
    monkeypatch.setattr(suppressing, "COUNTED", 50)
    seen, path = [], "/suppressions/"
    while path:
        page = browser.read(path)
        assert "more than 50 phones" in page
        seen += [int(one) for one in re.findall(r'<tr><td><a href="/console/suppressions/(\d+)/"', page)]
        further = re.search(r'href="(\?after=\d+)"', page)
        path = f"/suppressions/{further[1]}" if further else ""
    assert seen == sorted(set(seen))
    assert len(seen) == 60


def test_a_file_is_taken_and_its_refused_lines_come_back(api: Api, browser: Browser) -> None:
    table = "Телефон;Причина;Город\n8 (912) 000-00-01;STOP;Омск\n12;;Омск\n".encode("cp1251")
    taken = send_file(browser, table)
    assert taken.headers["Location"] == "/console/suppressions/files/1/"
    assert [one["reason"] for one in api.get("/suppressions/")] == ["STOP"]
    page = browser.read("/suppressions/files/1/")
    Page(page)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for said in ("Стоп.csv", "was read to its end", "2 lines", "1 new on the list", "1 line was refused"):
        assert said in words
    assert "Город nothing" in words
    assert "12;;Омск" in browser.see("/suppressions/files/1/refused/").text
    assert browser.see("/suppressions/files/1/live/").headers["X-Live"] == "over"
    assert "Стоп.csv" in browser.read("/suppressions/files/")
    shown = api.get("/suppressions/imports/1/")
    assert (shown["lines"], shown["created"], shown["known"], shown["refused"]) == (2, 1, 0, 1)
    assert [error["line"] for error in shown["errors"]] == [3]


def test_a_file_that_is_none_is_a_page_that_says_why(api: Api, browser: Browser) -> None:
    for content in (b"", b"name\nAnna\n", b"PK\x03\x04" + b"\0" * 100):
        answer = send_file(browser, content)
        assert 400 <= answer.status_code < 500
        assert answer.mimetype == "text/html"
    assert api.get("/suppressions/imports/") == []


def test_who_looks_meanwhile_sees_how_far_a_file_is_and_why_it_broke_off(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LINES", 10)
    seen: list[str] = []

    def lines() -> Iterator[bytes]:
        yield b"phone\n" + b"".join(b"7900000%04d\n" % number for number in range(25))
        live = browser.see("/suppressions/files/1/live/")
        seen.append(live.headers["X-Live"] + " ".join(re.sub(r"<[^>]+>", " ", live.text).split()))
        raise ConnectionError

    file = suppression_file.read("text/csv", lines(), None)
    with pytest.raises(ConnectionError):
        suppression_file.take(Work(api.engine, Actor("anybody")), DIGESTS, file, "stop")
    [meanwhile] = seen
    assert meanwhile.startswith("on")
    assert "is being read" in meanwhile
    assert re.search("[12]0 new on the list", meanwhile)
    page = browser.read("/suppressions/files/1/")
    assert "broke off" in page
    assert "A defect of the service" in page
    assert api.get("/suppressions/imports/")[0]["state"] == "broken"
    api.execute("update suppression_files set ended_at = null, failure = null, heard_at = now() - interval '3 minutes'")
    assert api.get("/suppressions/imports/1/")["failure"] == "The process that read it is gone."


def test_who_may_only_look_is_shown_no_form_and_refused(engine: Engine, api: Api) -> None:
    one = suppress(api)
    keys = [stored(engine, scope) for scope in (Scope.READ, Scope.TEST)]
    locked = Api(engine, auth=True)
    for key in keys:
        browser = signed_in(locked, key)
        for path in ("/suppressions/", "/suppressions/files/", f"/suppressions/{one}/"):
            page = browser.read(path)
            assert "/lift/" not in page
            assert 'method="post"' not in page.partition("<main")[2].partition("</main>")[0]
        for path in ("/suppressions/", f"/suppressions/{one}/lift/"):
            assert browser.send(path, seen_on="/suppressions/", phone="79990000000").status_code == 403
        assert send_file(browser, b"phone\n79990000000\n").status_code == 403
    assert [found["id"] for found in api.get("/suppressions/")] == [one]


def test_no_form_of_another_site_does_anything(engine: Engine, api: Api) -> None:
    one = suppress(api)
    key = stored(engine, Scope.WRITE)
    browser = signed_in(Api(engine, auth=True), key)
    for token in ("", "x" * 64):
        fields = {"form_token": token, "phone": "79990000000"}
        for path in ("/suppressions/", f"/suppressions/{one}/lift/"):
            assert browser.http.post(f"/console{path}", data=fields).status_code == 403
        assert send_file(browser, b"phone\n79990000000\n", form_token=token).status_code == 403
    assert [found["id"] for found in api.get("/suppressions/")] == [one]
