"""A client's page: never to be written to again, and to be forgotten."""

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import Engine

from api_service.web import key
from api_service.web.key import Scope, Token
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import Api, running

PHONE, SPELLED = "79120000001", "8 (912) 000-00-01"
ERASE = "/clients/1/erase/"


@pytest.fixture
def opened(engine: Engine) -> Api:
    """With a client, and a mailing that waits for them."""
    api = Api(engine)
    api.make("/clients/", {"phone": PHONE, "attributes": {"city": "Омск"}})
    assert api.launch(api.make("/mailings/", running())["id"]) == 1
    return api


@pytest.fixture
def token(engine: Engine) -> Token:
    return stored(engine, Scope.WRITE)


@pytest.fixture
def browser(engine: Engine, opened: Api, token: Token) -> Browser:
    return signed_in(Api(engine, auth=True), token)


def send(browser: Browser, **fields: Any) -> Any:
    """With the revision that the page has."""
    [revision] = re.findall(r'name="revision" value="([^"]*)"', browser.read(ERASE))
    return browser.send(ERASE, **{"revision": unescape(revision), **fields})


def test_they_are_suppressed_and_written_to_again(opened: Api, browser: Browser) -> None:
    assert "Never write to them again" in browser.read("/clients/1/")
    Page(browser.read("/clients/1/suppress/"))
    refused = browser.send("/clients/1/suppress/", reason="x" * 201)
    assert (refused.status_code, opened.get("/suppressions/")) == (422, [])
    assert browser.send("/clients/1/suppress/", reason="asked for it").headers["Location"] == "/console/clients/1/"
    [one] = opened.get(f"/suppressions/?phone={PHONE}")
    assert one["reason"] == "asked for it"
    assert opened.get("/mailings/1/detail_statistics/")["skipped_because"] == {"opted_out": 1}
    page = browser.read("/clients/1/")
    assert "They do not want to be written to." in page
    assert f'href="/console/suppressions/{one["id"]}/lift/"' in page
    assert browser.send(f"/suppressions/{one['id']}/lift/").headers["Location"] == "/console/clients/1/"
    assert opened.get("/suppressions/") == []


def test_they_are_erased_by_who_says_once_more_who_they_are_and_who_is_meant(
    opened: Api, browser: Browser, token: Token
) -> None:
    assert f'href="/console{ERASE}"' in browser.read("/clients/1/")
    Page(browser.read(ERASE))
    assert browser.see("/clients/1/erased/").status_code == 404
    done = send(browser, phone=SPELLED, key_again=str(token))
    assert done.headers["Location"] == "/console/clients/1/erased/"
    assert "Client 1 is erased" in browser.read("/clients/1/erased/")
    assert opened("GET", "/clients/1/").status == 404
    assert opened.execute("select phone from messages") is None
    assert opened.get("/mailings/1/detail_statistics/")["cancelled"] == 1
    line = opened.get("/audit/?thing=client&action=erase")[0]
    assert (line["thing_id"], line["by"]) == ("1", f"key {token.id}")
    assert browser.see(ERASE).status_code == 404


def test_a_screen_that_was_left_open_erases_nobody(engine: Engine, opened: Api, browser: Browser, token: Token) -> None:
    others = stored(engine, Scope.ADMIN)
    for given in ("", "nonsense", str(others), str(Token(token.id, key.new().secret))):
        answer = send(browser, phone=PHONE, key_again=given)
        assert answer.status_code == 403
        assert "is not the key that you have signed in with" in answer.text
        assert not given or given not in answer.text
        Page(answer.text)
    assert opened.get("/clients/1/")["phone"] == PHONE


def test_the_phone_has_to_be_theirs(opened: Api, browser: Browser, token: Token) -> None:
    for given in ("", "12", "79120000002"):
        answer = send(browser, phone=given, key_again=str(token))
        assert answer.status_code == 422
        assert "not the phone of this client" in answer.text
        assert 'value="' + str(token) not in answer.text
    assert opened.get("/clients/1/")["phone"] == PHONE


def test_whom_somebody_else_has_changed_meanwhile_nobody_erases(opened: Api, browser: Browser, token: Token) -> None:
    assert opened("PATCH", "/clients/1/", {"tag": "vip"}).status == 200
    answer = send(browser, phone=PHONE, key_again=str(token), revision='"1"')
    assert answer.status_code == 412
    assert opened.get("/clients/1/")["phone"] == PHONE


def test_it_says_what_comes_of_who_is_not_on_the_list_of_suppressions(opened: Api, browser: Browser) -> None:
    assert "put their phone on the list first" in browser.read(ERASE)
    opened.make("/suppressions/", {"phone": PHONE})
    assert "and stays there" in browser.read(ERASE)


def test_who_was_deleted_is_not_said_to_be_erased(opened: Api, browser: Browser) -> None:
    assert opened("DELETE", "/clients/1/").status == 204
    assert browser.see("/clients/1/erased/").status_code == 404


def test_where_nobody_signs_in_the_phone_is_asked_for_alone(opened: Api) -> None:
    browser = Browser(opened)
    assert "key_again" not in browser.read(ERASE)
    assert send(browser, phone="12").status_code == 422
    assert send(browser, phone=PHONE).status_code == 303
    assert opened("GET", "/clients/1/").status == 404


def test_who_may_only_look_is_shown_no_button_and_refused(engine: Engine, opened: Api) -> None:
    keys = [stored(engine, scope) for scope in (Scope.READ, Scope.TEST)]
    locked = Api(engine, auth=True)
    for token in keys:
        browser = signed_in(locked, token)
        assert not re.search("clients/1/(suppress|erase)/", browser.read("/clients/1/"))
        for path in ("/clients/1/suppress/", ERASE):
            assert browser.see(path).status_code == 403
            sent = browser.send(path, seen_on="/clients/", phone=PHONE, key_again=str(token), revision='"1"')
            assert sent.status_code == 403
    assert opened.get("/clients/1/")["phone"] == PHONE
    assert opened.get("/suppressions/") == []


def test_no_form_of_another_site_does_anything(opened: Api, browser: Browser, token: Token) -> None:
    for form_token in ("", "x" * 64):
        fields = {"form_token": form_token, "phone": PHONE, "key_again": str(token), "revision": '"1"'}
        for path in ("/clients/1/suppress/", ERASE):
            assert browser.http.post(f"/console{path}", data=fields).status_code == 403
    assert opened.get("/clients/1/")["phone"] == PHONE
    assert opened.get("/suppressions/") == []
