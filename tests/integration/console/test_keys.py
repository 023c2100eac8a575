"""Keys on the console, and who is signed in with them."""

import re
from datetime import timedelta
from html import unescape
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from api_service.access import actions, keyring, store
from api_service.web import key
from api_service.web.key import Scope, Token, parsed
from api_service.web.problems import Unauthorized
from api_service.web.work import Work
from shared import clock
from shared.audit import Actor
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.support.api import HOUR, Api
from tests.support.superuser import superuser

FILLED_IN = {"name": "Shop & Co", "scope": "write", "days": "30"}


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine, auth=True)


@pytest.fixture
def token(engine: Engine) -> Token:
    return stored(engine, Scope.ADMIN)


@pytest.fixture
def admin(api: Api, token: Token) -> Browser:
    return signed_in(api, token)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at the clock as much time passes as keys are believed for: each request reads them anew."""
    began, looks = clock.ticks(), count(1)
    monkeypatch.setattr(clock, "ticks", lambda: began + next(looks) * keyring.FRESH)


def form_id(browser: Browser) -> str:
    found = re.search(r'name="id" value="(\w+)"', browser.read("/keys/new/"))
    assert found
    return found[1]


def made(browser: Browser, own: Token, **fields: str) -> Token:
    """A key that somebody makes, as its page shows it."""
    response = browser.send("/keys/new/", **FILLED_IN | {"id": form_id(browser), "key_again": str(own), **fields})
    assert response.status_code == 200, response.text
    Page(response.text)
    assert response.headers["Cache-Control"] == "no-store"
    shown = re.search(r"nsk_[\w-]+", response.text)
    assert shown
    token = parsed(shown[0])
    assert token
    return token


def listed(api: Api, token: Token) -> dict[str, Any]:
    answer = api("GET", "/keys/", headers={"Authorization": f"Bearer {token}"})
    return {one["id"]: one for one in answer.json}


def opens(api: Api, token: Token) -> bool:
    return api("GET", "/mailings/", headers={"Authorization": f"Bearer {token}"}).status == 200


def test_a_key_is_made_shown_once_and_revoked(api: Api, admin: Browser, token: Token) -> None:
    one = made(admin, token)
    assert opens(api, one)
    known = listed(api, token)[one.id]
    assert (known["name"], known["scope"], known["made_by"]) == ("Shop & Co", "write", token.id)
    assert known["expires_at"] is not None
    page = unescape(admin.read("/keys/"))
    assert "Shop & Co" in page
    assert one.secret not in page
    assert "Revoke 1 key" in admin.read(f"/keys/{one.id}/revoke/")
    revoked = admin.send(f"/keys/{one.id}/revoke/", key_again=str(token))
    assert revoked.headers["Location"] == "/console/keys/"
    assert not opens(api, one)
    assert one.id not in admin.read("/keys/")
    assert one.id in admin.read("/keys/?which=all")
    lines = api("GET", f"/audit/?thing=key&thing_id={one.id}", headers={"Authorization": f"Bearer {token}"}).json
    assert [(line["action"], line["by"]) for line in lines] == [
        ("create", f"key {token.id}"), ("revoke", f"key {token.id}"),
    ]  # fmt: skip


def test_a_form_makes_one_key_however_often_it_is_sent(api: Api, admin: Browser, token: Token) -> None:
    fields = FILLED_IN | {"id": form_id(admin), "key_again": str(token)}
    assert admin.send("/keys/new/", **fields).status_code == 200
    again = admin.send("/keys/new/", **fields)
    assert again.status_code == 409
    assert "nsk_" not in again.text
    assert len(listed(api, token)) == 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "Must be 1 to 64 characters"),
        ({"name": "x" * 65}, "Must be 1 to 64 characters"),
        ({"name": "a\u202eb"}, "Must be 1 to 64 characters"),
        ({"scope": "all"}, "Must be one of these"),
        ({"scope": ""}, "Must be one of these"),
        ({"days": "0"}, "Must be a whole number of days"),
        ({"days": "-1"}, "Must be a whole number of days"),
        ({"days": "\u0663"}, "Must be a whole number of days"),
        ({"days": "9" * 5000}, "Must be a whole number of days"),
        ({"key_again": ""}, "not the key that you have signed in with"),
        ({"key_again": "nsk_0f3a9c21b7de_" + "x" * 43}, "not the key that you have signed in with"),
    ],
)
def test_what_is_wrong_makes_no_key(
    api: Api, admin: Browser, token: Token, wrong: dict[str, str], sentence: str
) -> None:
    fields = FILLED_IN | {"id": form_id(admin), "key_again": str(token)} | wrong
    response = admin.send("/keys/new/", **fields)
    assert response.status_code == 422
    assert sentence in response.text
    assert str(token) not in response.text
    Page(response.text)
    assert len(listed(api, token)) == 1


def test_nobody_makes_or_revokes_one_with_the_session_alone(
    api: Api, engine: Engine, admin: Browser, token: Token
) -> None:
    """Nor with the key of somebody else, though it be an administrator's."""
    other = stored(engine, Scope.ADMIN)
    for given in ("", str(other), str(Token(token.id, other.secret))):
        response = admin.send(f"/keys/{other.id}/revoke/", key_again=given)
        assert response.status_code == 422
        assert admin.send("/keys/new/", **FILLED_IN, id=form_id(admin), key_again=given).status_code == 422
    assert opens(api, other)
    assert len(listed(api, token)) == 2


def test_a_stolen_key_makes_none_that_outlives_it(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    thief = made(admin, token, scope="admin", name="Thief", days="")
    second = made(signed_in(api, thief), thief, scope="admin", name="Second", days="40")
    third = made(signed_in(api, second), second, name="Third")
    assert opens(api, third)
    page = admin.read(f"/keys/{thief.id}/revoke/")
    assert "Revoke 3 keys" in page
    assert "Second, Third" in page
    assert admin.send(f"/keys/{thief.id}/revoke/", key_again=str(token)).status_code == 303
    assert not any(opens(api, one) for one in (thief, second, third))
    assert opens(api, token)
    assert all(one["revoked_at"] for one in listed(api, token).values() if one["id"] != token.id)


def test_what_a_key_has_made_ends_with_its_successor(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    one = made(admin, token, name="Program", days="")
    successor, _ = actions.rotate(
        Work(engine, Actor("command")), token.id, timedelta(0), clock.now() + timedelta(days=5)
    )
    with Session(engine) as session:
        program = store.find(session, one.id, lock=False)
        assert (program.made_by, program.expires_at) == (successor.id, store.find(session, successor.id).expires_at)
    assert opens(api, one)
    actions.revoke(Work(engine, Actor("command")), successor.id)
    assert not opens(api, one)


def test_what_a_key_makes_expires_no_later(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    with superuser(engine) as connection:
        connection.execute(text("update api_keys set expires_at = now() + interval '10 days'"))
    for days in ("", "30"):
        response = admin.send("/keys/new/", **FILLED_IN | {"days": days}, id=form_id(admin), key_again=str(token))
        assert response.status_code == 422
        assert "cannot last longer" in response.text
    assert made(admin, token, days="5").id in listed(api, token)


def test_a_key_that_has_ended_makes_none(engine: Engine, token: Token) -> None:
    """Also within the seconds for which the door still lets it in."""
    work = Work(engine, Actor("command"))
    actions.revoke(work, token.id)
    with pytest.raises(Unauthorized):
        actions.adopt(work, key.new(), "late", Scope.READ, made_by=token.id)
    assert [one.id for one in actions.list_all(work)] == [token.id]


@pytest.mark.parametrize(
    "path", ["/keys/", "/keys/new/", "/keys/0123456789ab/revoke/", "/sessions/", f"/sessions/{'0' * 64}/end/"]
)
def test_it_is_for_administrators(api: Api, engine: Engine, path: str) -> None:
    own = stored(engine, Scope.WRITE)
    writer = signed_in(api, own)
    assert "/console/keys/" not in writer.read("/")
    assert writer.see(path).status_code == 403
    response = writer.send(path, seen_on="/", **FILLED_IN, id="0123456789ab", key_again=str(own))
    assert response.status_code in (401, 403, 405)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from api_keys")) == 1


def test_no_form_of_another_site_does_anything(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    (session,) = re.findall(r"/console/sessions/(\w+)/end/", admin.read("/sessions/"))
    for path in ("/keys/new/", f"/keys/{token.id}/revoke/", f"/sessions/{session}/end/"):
        fields = FILLED_IN | {"id": "0123456789ab", "key_again": str(token)}
        assert admin.http.post(f"/console{path}", data=fields).status_code == 403
    assert opens(api, token)
    assert len(listed(api, token)) == 1
    assert admin.see("/").status_code == 200


def test_somebody_is_signed_out_by_another(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    other = stored(engine, Scope.READ)
    guest = signed_in(api, other)
    page = admin.read("/sessions/")
    Page(page)
    found = dict(re.findall(r"<code>(\w+)</code>.*?/console/sessions/(\w+)/end/", page))
    assert found.keys() == {token.id, other.id}
    path = f"/sessions/{found[other.id]}/end/"
    assert "End the session of read" in admin.read(path)
    assert admin.send(path).headers["Location"] == "/console/sessions/"
    assert guest.see("/").status_code == 303
    assert opens(api, other)  # the key is as it was
    assert admin.see(path).status_code == 404
    assert admin.see("/sessions/no-session/end/").status_code == 404
    lines = api("GET", "/audit/?thing=session", headers={"Authorization": f"Bearer {token}"}).json
    assert [(line["action"], line["after"]) for line in lines] == [("end", {"by": f"key {other.id}"})]


def test_lists_are_walked_to_their_end(api: Api, engine: Engine, admin: Browser, token: Token) -> None:
    for _ in range(60):
        stored(engine, Scope.READ)
        api.execute(
            "insert into sessions (digest, key_id, expires_at) values (sha256(random()::text::bytea), :id, :until)",
            id=token.id, until=clock.now() + HOUR,
        )  # fmt: skip
    for path, link in (("/keys/", "keys/(\\w+)/revoke"), ("/sessions/", "sessions/(\\w+)/end")):
        seen, further = [], path
        while further:
            page = admin.read(further)
            seen += re.findall(f'href="/console/{link}/"', page)
            found = re.search(r'href="(\?[^"]*after=\w+)"', page)
            further = f"{path}{found[1]}" if found else ""
        assert len(seen) == len(set(seen)) == 61


def test_where_nobody_signs_in_nobody_is_asked_again(engine: Engine) -> None:
    browser = Browser(Api(engine))
    assert "key_again" not in browser.read("/keys/new/")
    response = browser.send("/keys/new/", **FILLED_IN, id=form_id(browser))
    assert "nsk_" in response.text
    (one,) = re.findall(r"/console/keys/(\w{12})/revoke/", browser.read("/keys/"))
    assert browser.send(f"/keys/{one}/revoke/").status_code == 303
    assert "There are none." in browser.read("/keys/")
