"""The pages of the console: whom they let in, what they show, and that no form of another site does anything."""

import io
import re
import tracemalloc
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from urllib.parse import quote, urljoin

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from api_service.access import keyring, store
from api_service.web import key
from api_service.web.key import Scope, Token
from shared import clock
from shared.domain.mailing import MailingState
from shared.rates.paces import PaceNote
from tests.support.api import Api, mailing

HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }} \u202e &amp; " + "long" * 40


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    yield Api(engine, auth=True)
    engine.dispose()


@pytest.fixture
def tokens(engine: Engine) -> dict[Scope, Token]:
    return {scope: stored(engine, scope) for scope in Scope}


def stored(engine: Engine, scope: Scope) -> Token:
    token = key.new()
    with Session(engine) as session, session.begin():
        store.stored(session, token, f"{scope} <b>", scope, None)
    return token


class Browser:
    """Somebody's: it keeps cookies, and fills in the forms that pages have."""

    def __init__(self, api: Api) -> None:
        self.http: FlaskClient = api.app.test_client()

    def see(self, path: str, **more: Any) -> TestResponse:
        return self.http.get(f"/console{path}", **more)

    def read(self, path: str) -> str:
        response = self.see(path)
        assert response.status_code == 200, (path, response.status_code, response.text)
        return response.text

    def send(self, path: str, seen_on: str | None = None, **fields: Any) -> TestResponse:
        """seen_on: the page with the form; the same where it is left out."""
        page = self.see(seen_on or path).text
        token = re.search(r'name="form_token" value="(\w*)"', page)
        return self.http.post(f"/console{path}", data={"form_token": token[1] if token else "", **fields})

    def sign_in(self, token: object, **more: Any) -> TestResponse:
        return self.send("/sign-in/", key=str(token), **more)


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


def signed_in(api: Api, token: Token) -> Browser:
    browser = Browser(api)
    assert browser.sign_in(token).status_code == 303
    return browser


def token_on(browser: Browser, path: str) -> str:
    """Of the forms of a page."""
    found = re.search(r'name="form_token" value="(\w+)"', browser.read(path))
    assert found
    return found[1]


@pytest.fixture
def furnished(api: Api, engine: Engine) -> Api:
    """A mailing that runs, one that is scheduled, a client, an import, what people did: with hostile texts."""
    opened = Api(engine)
    opened.make("/clients/", {"phone": "79120000001", "tag": HOSTILE[:64], "attributes": {"<i>": HOSTILE}})
    data = f'phone,tag,"{HOSTILE[:60]}"\n79120000002,vip,x\n1,{HOSTILE},\n'
    assert opened("POST", "/clients/import/?name=%3Cu%3E", data=data.encode(), content_type="text/csv").status == 200
    running = opened.make("/mailings/", mailing(text=HOSTILE.replace("{{", "{"), starts_at="2020-01-01T00:00:00Z"))[
        "id"
    ]
    assert opened.launch(running) == 2
    opened.make("/mailings/", mailing(starts_at="2049-01-01T00:00:00Z", ends_at="2049-01-02T00:00:00Z"))
    return opened


# ---------------------------------------------------------------- who gets in


def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(
    browser: Browser, tokens: dict[Scope, Token], furnished: Api
) -> None:
    back = "/console/mailings/?state=running"
    for cookie in ("", "of a session that is over"):
        browser.http.set_cookie("console", cookie, path="/console/")
        response = browser.see("/mailings/?state=running")
        assert (response.status_code, response.headers["Location"]) == (303, f"/console/sign-in/?next={quote(back)}")
    assert browser.sign_in(tokens[Scope.READ], next=back).headers["Location"] == back
    assert browser.see("/mailings/?state=running").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/console/", "/console/../docs/", "/console//evil", "/docs/", "\\\\evil"],
)
def test_the_sign_in_leads_nowhere_else(api: Api, tokens: dict[Scope, Token], elsewhere: str) -> None:
    assert Browser(api).sign_in(tokens[Scope.READ], next=elsewhere).headers["Location"] == "/console/"


def test_a_slash_that_is_missing_asks_nobody_for_a_key(browser: Browser) -> None:
    assert browser.see("").headers["Location"] == "/console/"
    assert browser.http.get("/").headers["Location"] == "/console/"


def test_what_is_no_key_opens_nothing(browser: Browser, tokens: dict[Scope, Token]) -> None:
    other = Token(tokens[Scope.READ].id, key.new().secret)
    for given in ("", "nonsense", "nsk_0f3a9c21b7de_" + "x" * 43, str(other), "\u0660" * 50):
        response = browser.sign_in(given)
        assert response.status_code == 403
        assert "Set-Cookie" not in response.headers
        assert 'role="alert"' in response.text
    assert browser.see("/").status_code == 303


def test_the_cookie_is_for_the_console_alone_and_for_no_script(api: Api, tokens: dict[Scope, Token]) -> None:
    plain = Browser(api).sign_in(tokens[Scope.READ]).headers["Set-Cookie"]
    assert {"HttpOnly", "Path=/console/", "SameSite=Lax"} <= set(plain.split("; "))
    browser = Browser(api)
    secure = browser.http.post(
        "/console/sign-in/", data={"key": str(tokens[Scope.READ])}, base_url="https://localhost"
    ).headers["Set-Cookie"]
    assert "Secure" in secure.split("; ")


def test_a_session_that_was_planted_opens_nothing(api: Api, tokens: dict[Scope, Token]) -> None:
    planted = "planted-by-somebody-else"
    victim, attacker = Browser(api), Browser(api)
    for one in (victim, attacker):
        one.http.set_cookie("console", planted, path="/console/")
    assert victim.sign_in(tokens[Scope.ADMIN]).status_code == 303
    assert victim.see("/").status_code == 200
    assert attacker.see("/").status_code == 303


def test_a_session_ends_with_its_key_with_its_time_and_with_the_sign_out(
    api: Api, engine: Engine, tokens: dict[Scope, Token], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, late, revoked = (signed_in(api, tokens[Scope.READ]) for _ in range(3))
    cookie = left.http.get_cookie("console", path="/console/")
    assert left.send("/sign-out/", seen_on="/").headers["Location"] == "/console/sign-in/"
    assert cookie
    left.http.set_cookie("console", cookie.value, path="/console/")
    assert left.see("/").status_code == 303
    assert late.see("/").status_code == 200
    api.execute("update sessions set expires_at = now()")
    assert late.see("/").status_code == 303
    late.sign_in(tokens[Scope.READ])
    assert api.execute("select count(*) from sessions") == 1  # the others went with it
    assert revoked.sign_in(tokens[Scope.WRITE]).status_code == 303
    admin = {"headers": {"Authorization": f"Bearer {tokens[Scope.ADMIN]}"}}
    assert api("DELETE", f"/keys/{tokens[Scope.WRITE].id}/", **admin).status == 204
    passed = clock.ticks() + keyring.FRESH
    monkeypatch.setattr(clock, "ticks", lambda: passed)
    assert revoked.see("/").status_code == 303


def test_nothing_of_a_session_or_a_key_can_be_read_in_the_database(
    api: Api, engine: Engine, tokens: dict[Scope, Token]
) -> None:
    browser = signed_in(api, tokens[Scope.READ])
    cookie = browser.http.get_cookie("console", path="/console/")
    assert cookie
    with engine.connect() as connection:
        rows = connection.execute(text("select * from sessions")).all()
    assert len(rows) == 1
    assert cookie.value not in str(rows)
    assert tokens[Scope.READ].secret not in str(rows) + browser.read("/")


def test_a_session_opens_the_console_alone(api: Api, tokens: dict[Scope, Token]) -> None:
    browser = signed_in(api, tokens[Scope.ADMIN])
    cookie = browser.http.get_cookie("console", path="/console/")
    assert cookie
    for path in ("/clients/", "/mailings/", "/keys/"):
        assert browser.http.get(path, headers={"Cookie": f"console={cookie.value}"}).status_code == 401
    bearer = {"Authorization": f"Bearer {tokens[Scope.ADMIN]}"}
    assert Browser(api).see("/", headers=bearer).status_code == 303


def test_it_works_under_the_path_of_a_proxy(api: Api, tokens: dict[Scope, Token]) -> None:
    http = api.app.test_client()
    behind: dict[str, Any] = {"environ_overrides": {"SCRIPT_NAME": "/notify"}}
    answer = http.post("/console/sign-in/", data={"key": str(tokens[Scope.READ])}, **behind)
    assert answer.headers["Location"] == "/notify/console/"
    assert "Path=/notify/console/" in answer.headers["Set-Cookie"]
    page = http.get("/console/sign-in/", **behind)
    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)
    assert links
    assert all(link.startswith("/notify/") for link in links)


# ---------------------------------------------------------------- forms


def test_no_form_of_another_site_does_anything(api: Api, tokens: dict[Scope, Token], furnished: Api) -> None:
    browser = signed_in(api, tokens[Scope.WRITE])
    pause = "/mailings/1/pause/"
    token = re.search(r'name="form_token" value="(\w+)"', browser.read(pause))
    assert token
    for fields, headers in (
        ({}, {}),
        ({"form_token": "x" * 64}, {}),
        ({"form_token": "\u00e9"}, {}),
        ({"form_token": token[1]}, {"Sec-Fetch-Site": "cross-site"}),
        ({"form_token": token[1]}, {"Sec-Fetch-Site": "same-site"}),
    ):
        response = browser.http.post(f"/console{pause}", data=fields, headers=headers)
        assert response.status_code == 403
        assert furnished.get("/mailings/1/")["state"] == "running"
    other = signed_in(api, tokens[Scope.WRITE])
    assert other.http.post(f"/console{pause}", data={"form_token": token[1]}).status_code == 403
    assert browser.http.post(f"/console{pause}", data={"form_token": token[1]}).status_code == 303
    assert furnished.get("/mailings/1/")["state"] == "paused"


def test_pages_are_read_with_get_alone(api: Api, tokens: dict[Scope, Token]) -> None:
    browser = signed_in(api, tokens[Scope.ADMIN])
    for method in ("DELETE", "PUT", "PATCH", "OPTIONS"):  # to the door these are places that there are not
        assert browser.http.open("/console/mailings/", method=method).status_code in (401, 405)
    assert browser.see("/sign-out/").status_code in (404, 405)


# ---------------------------------------------------------------- what a reader sees


class Page(HTMLParser):
    """Its links and forms; whatever would come from elsewhere, or runs by itself, is a fault."""

    VOID = frozenset({"meta", "link", "input", "br", "img", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"<{tag}> has an attribute twice"
        if tag not in self.VOID:
            self._open.append(tag)
        for name, value in values.items():
            assert name != "style", f"<{tag}> has a style"
            assert not name.startswith("on"), f"<{tag}> has {name}"
            if name in ("href", "src", "action"):
                assert value is not None
                assert not re.match(r"\w+:|//", value), f"<{tag}> leads to {value}"
        if tag == "script":
            assert "src" in values
        if tag == "a" and (href := values["href"]):
            self.links.append(href)
        if tag == "form":
            self.forms.append(values.get("action") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("scope", Scope)
def test_every_link_leads_somewhere_and_no_page_holds_what_is_foreign(
    api: Api, tokens: dict[Scope, Token], furnished: Api, scope: Scope, language: str
) -> None:
    """All pages that can be reached, as each of them who may see some."""
    browser = signed_in(api, tokens[scope])
    browser.http.set_cookie("language", language, path="/console/")
    seen: set[str] = set()
    waiting = ["/console/"]
    while waiting:
        address = waiting.pop()
        path = address.partition("#")[0]
        if path in seen or not path.startswith("/console/"):
            continue
        seen.add(path)
        response = browser.http.get(path)
        assert response.status_code == 200, (path, response.text)
        if response.mimetype != "text/html":
            response.close()
            continue
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert HOSTILE[:25] not in response.text
        page = Page(response.text)
        waiting += [urljoin(path, link) for link in page.links]
    reached = {re.sub(r"\d+", "1", path.partition("?")[0]) for path in seen}
    everybody = {"/console/", *(f"/console/{name}/" for name in ("mailings", "clients", "imports"))}
    assert reached >= everybody | {"/console/clients/1/", "/console/imports/1/", "/console/imports/1/refused/"}
    real = {"/console/mailings/1/", "/console/messages/1/", "/console/mailings/1/file/"}
    if scope is Scope.TEST:
        assert not reached & real, "A test key sees nothing of a mailing that is really sent"
    else:
        assert reached >= real
    assert ("/console/mailings/1/cancel/" in reached) is scope.allows(Scope.WRITE)
    assert ("/console/audit/" in reached) is scope.allows(Scope.ADMIN)


@pytest.mark.parametrize(
    ("scope", "path"),
    [(Scope.READ, "/mailings/1/pause/"), (Scope.READ, "/mailings/1/cancel/"), (Scope.WRITE, "/audit/")],
)
def test_what_somebody_may_not_do_is_refused_as_well_as_hidden(
    api: Api, tokens: dict[Scope, Token], furnished: Api, scope: Scope, path: str
) -> None:
    browser = signed_in(api, tokens[scope])
    assert browser.see(path).status_code == 403
    assert path not in browser.read("/mailings/1/")
    if path != "/audit/":
        assert browser.send(path, seen_on="/mailings/1/").status_code == 403
        assert furnished.get("/mailings/1/")["state"] == "running"


def test_a_mailing_is_paused_goes_on_and_is_cancelled(api: Api, tokens: dict[Scope, Token], furnished: Api) -> None:
    browser = signed_in(api, tokens[Scope.ADMIN])
    assert "Hold back 2 messages" in browser.read("/mailings/1/pause/")
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert browser.send(f"/mailings/1/{action}/").headers["Location"] == "/console/mailings/1/"
        assert furnished.get("/mailings/1/")["state"] == state
    response = browser.send("/mailings/1/pause/")
    assert response.status_code == 409
    assert "too late" in response.text
    page = browser.read("/mailings/1/")
    assert [word for word in ("paused", "resumed", "cancelled") if f"{word}\n" in page or f"· {word}" in page] == [
        "paused", "resumed", "cancelled",
    ]  # fmt: skip
    assert f"key {tokens[Scope.ADMIN].id}" in page


def test_while_it_is_launched_those_who_are_chosen_already_are_counted(
    api: Api, tokens: dict[Scope, Token], furnished: Api
) -> None:
    api.execute("update mailings set launched_at = null where id = 1")
    browser = signed_in(api, tokens[Scope.WRITE])
    assert "Hold back 2 messages" in browser.read("/mailings/1/pause/")
    assert "It has not begun" in browser.read("/mailings/2/pause/")


def test_what_was_halted_needs_a_person_however_many_are_paused(
    api: Api, tokens: dict[Scope, Token], furnished: Api
) -> None:
    for _ in range(21):
        furnished.make("/mailings/", mailing(starts_at="2020-01-01T00:00:00Z"))
    api.execute("update mailings set paused_at = now() where id > 2")
    browser = signed_in(api, tokens[Scope.READ])
    assert "Needs a person" not in browser.read("/")
    api.execute("update mailings set halted_at = paused_at, provider_words = 'closed' where id = 23")
    needs = browser.read("/").partition("Needs a person")[2].partition("</section>")[0]
    assert "/console/mailings/23/" in needs
    assert "<q>closed</q>" in needs
    assert needs.count("<li") == 1


def test_what_looks_every_two_seconds_does_not_ask_what_people_did(
    api: Api, tokens: dict[Scope, Token], furnished: Api, engine: Engine
) -> None:
    """For the newest lines of the audit all transactions that are open are looked at."""
    browser = signed_in(api, tokens[Scope.ADMIN])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: asked.append(statement))
    assert "What people did" in browser.read("/mailings/1/")
    assert any("audit" in one for one in asked)
    asked.clear()
    browser.read("/mailings/1/live/")
    assert asked
    assert not [one for one in asked if "audit" in one or "pg_locks" in one]


def test_somebody_is_found_by_their_phone_however_it_is_spelled(
    api: Api, tokens: dict[Scope, Token], furnished: Api
) -> None:
    browser = signed_in(api, tokens[Scope.READ])
    for spelled in ("79120000001", "8 (912) 000-00-01", "+7 912 000 00 01"):
        assert browser.see("/clients/", query_string={"phone": spelled}).headers["Location"] == "/console/clients/1/"
    for wrong in ("79990000000", "12", "<b>"):
        response = browser.see("/clients/", query_string={"phone": wrong})
        assert response.status_code == 200
        assert 'role="alert"' in response.text
    why = furnished.get("/mailings/2/clients/1/")["explanation"]
    assert why in unescape(browser.read("/clients/1/why/?mailing=2"))


def test_a_list_is_walked_to_its_end(api: Api, engine: Engine, tokens: dict[Scope, Token]) -> None:
    opened = Api(engine)
    for _ in range(60):
        opened.make("/mailings/", mailing())
    browser, seen, path = signed_in(api, tokens[Scope.READ]), [], "/mailings/"
    while path:
        page = browser.read(path)
        seen += [int(one) for one in re.findall(r'<tr><td><a href="/console/mailings/(\d+)/"', page)]
        further = re.search(r'href="(\?[^"]*after=\d+)"', page)
        path = f"/mailings/{further[1]}" if further else ""
    assert seen == list(range(60, 0, -1))
    for state in MailingState:
        assert browser.see(f"/mailings/?state={state}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/mailings/?state=none", "/mailings/?after=x", "/mailings/999/", "/no/such/page", "/messages/0/"]
)
def test_what_is_not_there_is_a_page_that_says_so(api: Api, tokens: dict[Scope, Token], path: str) -> None:
    response = signed_in(api, tokens[Scope.READ]).see(path)
    assert response.status_code == 404
    assert response.mimetype == "text/html"
    Page(response.text)


def test_moments_are_those_of_the_readers_clock(api: Api, tokens: dict[Scope, Token], furnished: Api) -> None:
    browser = signed_in(api, tokens[Scope.READ])
    assert "1 Jan 2049, 00:00:00" in browser.read("/mailings/2/")
    browser.http.set_cookie("zone", "Asia/Omsk", path="/console/")
    assert "1 Jan 2049, 06:00:00" in browser.read("/mailings/2/")
    assert 'datetime="2049-01-01T00:00:00+00:00"' in browser.read("/mailings/2/")
    browser.http.set_cookie("zone", "../../etc/passwd", path="/console/")
    assert "UTC" in browser.read("/mailings/2/")
    browser.send("/language/", seen_on="/", language="ru", next="/console/")
    assert "Рассылка 2" in browser.read("/mailings/2/")


# ---------------------------------------------------------------- files


def send_file(browser: Browser, what: str, content: bytes, name: str) -> TestResponse:
    fields = {"form_token": token_on(browser, "/imports/"), "what": what, "file": (BytesIO(content), name)}
    return browser.http.post("/console/imports/", data=fields, content_type="multipart/form-data")


def test_a_file_is_rehearsed_and_taken(api: Api, tokens: dict[Scope, Token], engine: Engine) -> None:
    browser, opened = signed_in(api, tokens[Scope.WRITE]), Api(engine)
    table = "телефон;город\n8 (912) 000-00-01;Омск\n12;Омск\n".encode("cp1251")
    rehearsed = send_file(browser, "rehearse", table, "Клиенты.csv")
    assert "rehearsal" in rehearsed.text
    assert opened.get("/clients/") == []
    taken = send_file(browser, "take", table, "Клиенты.csv")
    assert taken.headers["Location"] == "/console/imports/1/"
    assert [one["phone"] for one in opened.get("/clients/")] == ["79120000001"]
    page = browser.read("/imports/1/")
    assert "attribute город" in page
    assert "1 line was refused" in page
    assert "Клиенты.csv" in page
    assert opened.get("/audit/?thing=clients")[0]["by"] == f"key {tokens[Scope.WRITE].id}"


def test_a_file_of_another_site_or_of_nobody_is_not_read(api: Api, tokens: dict[Scope, Token], engine: Engine) -> None:
    browser = signed_in(api, tokens[Scope.WRITE])
    body = {"what": "take", "file": (BytesIO(b"phone\n79120000001\n"), "a.csv")}
    assert browser.http.post("/console/imports/", data=body, content_type="multipart/form-data").status_code == 403
    for kind, data in (
        ("text/csv", b"phone\n"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
    ):
        response = browser.http.post("/console/imports/", data=data, content_type=kind)
        assert 400 <= response.status_code < 500
        assert response.mimetype == "text/html"
    assert Api(engine).get("/clients/imports/") == []


class Endless(io.RawIOBase):
    """A body that begins so, and goes on. taken: bytes that were read."""

    LENGTH = 2**24

    def __init__(self, beginning: bytes) -> None:
        self._beginning, self.taken = beginning, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._beginning.ljust(min(len(buffer), self.LENGTH - self.taken), b"a")
        self._beginning = b""
        buffer[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)


@pytest.mark.parametrize("beginning", [b"--x\r\na: ", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n'])
def test_a_head_or_a_field_without_end_is_not_held(api: Api, tokens: dict[Scope, Token], beginning: bytes) -> None:
    browser, body = signed_in(api, tokens[Scope.WRITE]), Endless(beginning)
    coming: Any = {"wsgi.input": body, "CONTENT_LENGTH": str(Endless.LENGTH)}
    kind = "multipart/form-data; boundary=x"
    tracemalloc.start()
    response = browser.http.post("/console/imports/", content_type=kind, environ_overrides=coming)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert response.status_code == 400
    assert response.mimetype == "text/html"
    assert most < Endless.LENGTH / 4


def test_a_file_may_have_any_name(api: Api, tokens: dict[Scope, Token], engine: Engine) -> None:
    browser = signed_in(api, tokens[Scope.WRITE])
    response = send_file(browser, "take", b"phone\n79120000001\n", "a\0b.csv")
    assert response.status_code == 303, response.text
    assert Api(engine).get("/clients/imports/")[0]["name"] == "a?b.csv"


# ---------------------------------------------------------------- without keys, and in trouble


def test_on_this_machine_alone_nobody_signs_in_and_other_sites_get_nothing(engine: Engine) -> None:
    api = Api(engine)
    browser = Browser(api)
    assert browser.see("/").status_code == 200
    assert browser.see("/sign-in/").headers["Location"] == "/console/"
    assert browser.see("/", headers={"Host": "evil.example"}).status_code == 403
    one = api.make("/mailings/", mailing())["id"]
    other_site = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert browser.http.post(f"/console/mailings/{one}/cancel/", headers=other_site).status_code == 403
    assert browser.send(f"/mailings/{one}/cancel/").status_code == 303
    assert api.get(f"/mailings/{one}/")["state"] == "cancelled"


def test_without_the_database_a_page_says_so(api: Api, tokens: dict[Scope, Token], monkeypatch: Any) -> None:
    browser = signed_in(api, tokens[Scope.READ])
    api.execute("alter table mailings rename to gone")
    try:
        assert browser.see("/mailings/").status_code == 500
    finally:
        api.execute("alter table gone rename to mailings")
    monkeypatch.setattr("api_service.tracking.overview.paces", _too_slow)
    response = browser.see("/")
    assert response.status_code == 503
    assert response.headers["Content-Type"].startswith("text/html")
    assert "The database does not answer" in response.text


def _too_slow(connection: Any) -> Any:
    connection.execute(text("set local statement_timeout = 1"))
    return connection.execute(text("select pg_sleep(1)"))


def test_the_address_of_an_asset_tells_its_content(browser: Browser) -> None:
    page = browser.read("/sign-in/")
    for address in re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', page):
        response = browser.http.get(address, headers={"Accept-Encoding": "gzip"})
        assert response.status_code == 200
        assert "immutable" in response.headers["Cache-Control"]
        old = re.sub(r"assets/\w+/", "assets/000000000000/", address)
        assert "immutable" not in browser.http.get(old).headers["Cache-Control"]
    for none in ("pages.py", "README.txt", "x.css", "..css", "%2e%2e%2fpages.py"):
        assert browser.see(f"/assets/0/{none}").status_code in (303, 404)  # or to the sign-in, as any other place


def test_the_first_page_is_light(browser: Browser) -> None:
    page = browser.read("/sign-in/")
    sizes = [
        len(browser.http.get(address, headers={"Accept-Encoding": "gzip"}).data)
        for address in re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', page)
    ]
    assert sum(sizes) + len(page.encode()) < 150_000


@pytest.mark.usefixtures("furnished")
def test_readers_who_share_a_look_see_what_each_of_them_may(api: Api, tokens: dict[Scope, Token]) -> None:
    """All within a second."""
    writer, reader, tester = (signed_in(api, tokens[scope]) for scope in (Scope.WRITE, Scope.READ, Scope.TEST))
    path = "/mailings/1/live/"
    assert "/mailings/1/pause/" in writer.read(path)
    assert "/mailings/1/pause/" not in reader.read(path)
    assert tester.see(path).status_code == 404
    in_russian = reader.see(path, headers={"Accept-Language": "ru"})
    assert "Начало" in in_russian.text
    assert "Начало" not in reader.read(path)


def test_a_mailing_says_what_it_waits_for_and_when_it_is_done(furnished: Api) -> None:
    """No dispatcher is at work here."""
    browser = Browser(furnished)
    for path in ("/", "/now/", "/mailings/1/", "/mailings/1/live/"):
        assert "2 messages wait for a dispatcher: none is at work" in browser.read(path), path
    assert "2 сообщения ждут отправителя" in browser.see("/now/", headers={"Accept-Language": "ru"}).text
    assert "It waits until it begins: <time" in browser.read("/mailings/2/")


def test_when_it_is_done_is_shown_against_its_end(furnished: Api, engine: Engine) -> None:
    """One of its messages takes centuries."""
    with engine.begin() as connection:
        PaceNote().write(connection, 1.0)
        connection.execute(text("update mailing_counters set pace_count = 1, pace_seconds = 1e10, paced_at = now()"))
    for path in ("/now/", "/mailings/1/live/"):
        assert "after its end" in Browser(furnished).read(path), path
