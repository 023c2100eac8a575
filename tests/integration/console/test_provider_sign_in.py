"""Signing in on the console at an identity provider: who gets in, and that what is forged, late or meant for others
opens nothing."""

import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from api_service.access.oidc import provider
from api_service.access.oidc.identity import Client
from api_service.access.oidc.provider import IdentityProvider
from api_service.web.key import Scope
from api_service.web.watch import ENDED
from sandbox.processes import Processes
from shared import clock
from tests.integration.access.test_api_key_life import Hourglass
from tests.integration.console.test_pages import Browser, stored
from tests.support import identity_provider
from tests.support.api import Api
from tests.support.api_server import OPEN, Server
from tests.support.identity_provider import CLIENT, SECRET, FalseProvider

pytest_plugins = ("tests.support.api_server_fixture",)

BY_GROUP = {"ops": Scope.ADMIN, "marketing": Scope.WRITE, "support": Scope.READ}


@pytest.fixture(scope="module")
def served() -> Iterator[FalseProvider]:
    with identity_provider.serving() as served:
        yield served


@pytest.fixture(scope="module")
def shared(books_engine: Engine, served: FalseProvider) -> Api:
    return api_of(books_engine, served.issuer)


@pytest.fixture
def false(served: FalseProvider) -> FalseProvider:
    served.start_anew()
    return served


@pytest.fixture
def api(shared: Api, false: FalseProvider) -> Api:
    """It knows nobody yet. One for all of these tests: to make it takes longer than most of them."""
    shared.app.extensions["identity_provider"] = IdentityProvider(service(false.issuer))
    for table in ("sessions", "people"):
        shared.execute(f"delete from {table}")
    return shared


def service(issuer: str) -> Client:
    return Client(issuer, CLIENT, SECRET, "groups")


def api_of(engine: Engine, issuer: str, **more: Any) -> Api:
    given = {"auth": True, "scopes_by_group": BY_GROUP, "console_keys": False} | more
    return Api(engine, identity_provider=IdentityProvider(service(issuer)), **given)


class Person(Browser):
    """Somebody's browser, in which they sign in at the provider."""

    def __init__(self, api: Api, false: FalseProvider, **more: Any) -> None:
        super().__init__(api)
        self._false, self._more = false, more

    def led(self, query: str = "") -> str:
        """Where the console sends them to sign in."""
        response = self.see(f"/sign-in/provider/{query}", **self._more)
        assert response.status_code == 303, response.text
        return response.headers["Location"]

    def come_back(self, path: str) -> TestResponse:
        prefix = self._more.get("environ_overrides", {}).get("SCRIPT_NAME", "")
        return self.http.get(path.removeprefix(prefix), **self._more)

    def sign_in_there(self, query: str = "", **differs: str | None) -> TestResponse:
        return self.come_back(self._false.send_back(self.led(query), **differs))


@pytest.fixture
def anna(api: Api, false: FalseProvider) -> Person:
    return Person(api, false)


def is_refused(response: TestResponse, status: int = 403) -> bool:
    """Whether it lets nobody in, and says so on a page on which they can try once more."""
    assert "console=" not in "".join(response.headers.getlist("Set-Cookie"))
    assert response.status_code != status or {'role="alert"', "/sign-in/provider/"} <= {
        part for part in ('role="alert"', "/sign-in/provider/") if part in response.text
    }
    return response.status_code == status


# ---------------------------------------------------------------- who gets in


def test_whoever_signs_in_there_comes_back_to_where_they_were(anna: Person, api: Api) -> None:
    assert anna.see("/mailings/?state=running").status_code == 303
    page = anna.read("/sign-in/?next=/console/mailings/%3Fstate%3Drunning")
    [link] = re.findall(r'href="/console(/sign-in/provider/[^"]*)"', page)
    response = anna.sign_in_there(link.removeprefix("/sign-in/provider/"))
    assert (response.status_code, response.headers["Location"]) == (303, "/console/mailings/?state=running")
    assert "Anna Müller" in anna.read("/mailings/")
    assert 'name="key"' not in page, "keys open nothing here"
    assert anna.http.post("/console/sign-in/", data={"key": str(stored(api.engine, Scope.ADMIN))}).status_code == 403


@pytest.mark.parametrize(
    ("groups", "audit", "pause"),
    [
        (["support"], False, False),
        (["support", "marketing"], False, True),
        ("ops", True, True),
        (["unheard of", "ops"], True, True),
    ],
)
def test_groups_allow_what_a_key_of_their_scope_would(
    anna: Person, false: FalseProvider, api: Api, groups: object, audit: bool, pause: bool
) -> None:
    false.claims["groups"] = groups
    anna.sign_in_there()
    assert (anna.see("/audit/").status_code == 200) is audit
    assert (anna.see("/mailings/1/pause/").status_code == 404) is pause  # there is no mailing, but they may


@pytest.mark.parametrize("groups", [[], ["unheard of"], None, 7, {"ops": True}, ["OPS"]])
def test_whoever_is_in_no_known_group_gets_a_clear_page_and_no_session(
    anna: Person, false: FalseProvider, api: Api, groups: object
) -> None:
    false.claims["groups"] = groups
    false.userinfo = {"sub": "anna-1"}
    response = anna.sign_in_there()
    assert is_refused(response)
    assert "You are in no group that may use this service." in response.text
    assert api.execute("select count(*) from sessions") == api.execute("select count(*) from people") == 0


def test_rights_change_with_the_next_sign_in_anywhere(anna: Person, false: FalseProvider, api: Api) -> None:
    elsewhere = Person(api, false)
    anna.sign_in_there()
    assert anna.see("/audit/").status_code == 200
    false.claims["groups"] = ["support"]
    elsewhere.sign_in_there()
    assert anna.see("/audit/").status_code == 403
    false.claims["groups"] = []
    assert is_refused(elsewhere.sign_in_there())
    assert anna.see("/").status_code == 303


def test_a_session_of_a_person_lasts_an_hour(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    lasts = api.execute("select extract(epoch from expires_at - now()) from sessions")
    assert 3500 < lasts <= 3600
    api.execute("update sessions set expires_at = now()")
    assert anna.see("/").status_code == 303


def test_the_groups_may_stand_beside_the_id_token(anna: Person, false: FalseProvider) -> None:
    false.claims["groups"] = None
    false.userinfo = {"sub": "anna-1", "groups": ["ops"]}
    assert anna.sign_in_there().status_code == 303
    assert anna.see("/audit/").status_code == 200


def test_the_audit_names_somebody_by_an_id_that_is_ours_and_shows_their_name_beside_it(
    anna: Person, false: FalseProvider, api: Api
) -> None:
    anna.sign_in_there()
    made = anna.send("/mailings/new/", name="Spring", text="Hello").headers["Location"]
    assert made.endswith("/review/")
    person = api.execute("select id from people")
    assert re.fullmatch("[0-9a-f]{12}", person)
    assert api.execute("select array_agg(distinct by) from audit where thing = 'mailing'") == [f"person {person}"]
    rows = api.execute("select string_agg(audit::text, ' ') from audit")
    assert "Anna" not in rows
    assert "anna-1" not in rows
    assert f"person {person}, Anna Müller" in anna.read("/audit/")
    false.claims |= {"groups": ["marketing"], "name": "Anna Schmidt"}
    anna.sign_in_there()
    told = api.execute(
        "select string_agg(concat(action, before, after), '; ' order by id) from audit"
        " where by = :by and thing = 'person'",
        by=f"person {person}",
    )
    assert told == 'create{"scope": "admin"}; change{"scope": "admin"}{"scope": "write"}'
    assert api.execute("select array_agg(name) from people") == ["Anna Schmidt"]


def test_names_that_are_no_names_are_none(anna: Person, false: FalseProvider) -> None:
    false.claims |= {"name": "<b>\n\u202e" + "long" * 40, "preferred_username": 7}
    assert anna.sign_in_there().status_code == 303
    page = anna.read("/")
    assert "&lt;b&gt;long" in page
    assert "\u202e" not in page


def test_it_works_under_the_path_of_a_proxy_and_over_tls(api: Api, false: FalseProvider) -> None:
    behind = Person(api, false, base_url="https://mail.shop.example", environ_overrides={"SCRIPT_NAME": "/notify"})
    address = behind.led()
    assert parse_qs(urlsplit(address).query)["redirect_uri"] == [
        "https://mail.shop.example/notify/console/sign-in/return/"
    ]
    response = behind.come_back(false.send_back(address))
    assert response.headers["Location"] == "/notify/console/"
    cookies = response.headers.getlist("Set-Cookie")
    assert any(
        {"Path=/notify/console/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(one.split("; ")) for one in cookies
    )


# ---------------------------------------------------------------- what is forged


def test_the_provider_is_asked_as_it_should_be(anna: Person, false: FalseProvider) -> None:
    asked = {name: value[0] for name, value in parse_qs(urlsplit(anna.led()).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", CLIENT)
    assert asked["scope"] == "openid profile"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    cookie = anna.http.get_cookie("console_sign_in", path="/console/sign-in/")
    assert cookie
    assert cookie.http_only
    assert all(asked[name] not in cookie.value for name in ("state", "nonce", "code_challenge"))
    again = {name: value[0] for name, value in parse_qs(urlsplit(anna.led()).query).items()}
    assert not {asked["state"], asked["nonce"], asked["code_challenge"]} & set(again.values())


@pytest.mark.parametrize(
    "claims",
    [{"aud": []}, {"aud": "another-service"}, {"iss": "https://evil.example"}, {"nonce": "another"}, {"exp": 1}],
)
def test_a_token_that_proves_nothing_opens_nothing(
    anna: Person, false: FalseProvider, api: Api, claims: dict[str, Any]
) -> None:
    """All that can be wrong with one: `tests/unit/access/test_id_token.py`."""
    false.claims |= claims
    assert is_refused(anna.sign_in_there())
    assert api.execute("select count(*) from sessions") == 0
    assert anna.see("/").status_code == 303


def test_what_somebody_has_begun_no_other_browser_finishes(anna: Person, false: FalseProvider, api: Api) -> None:
    """Else whoever gets somebody to follow a link signs them in as themselves, and reads what they write."""
    theirs = false.send_back(anna.led())
    other = Person(api, false)
    assert is_refused(other.come_back(theirs))
    other.led()
    assert is_refused(other.come_back(theirs))


def test_an_answer_is_taken_once(anna: Person, false: FalseProvider) -> None:
    path = false.send_back(anna.led())
    assert anna.come_back(path).status_code == 303
    anna.http.delete_cookie("console", path="/console/")
    assert is_refused(anna.come_back(path))


def test_the_code_of_another_sign_in_is_refused_by_the_provider(anna: Person, false: FalseProvider, api: Api) -> None:
    """As it is where somebody puts a code that they have got hold of into an answer to their own browser (PKCE)."""
    own = false.send_back(anna.led())
    false.send_back(Person(api, false).led())  # the code is that one's now
    assert is_refused(anna.come_back(own))


def test_a_session_that_was_planted_opens_nothing(anna: Person, false: FalseProvider, api: Api) -> None:
    attacker = Person(api, false)
    for one in (anna, attacker):
        one.http.set_cookie("console", "planted-by-somebody-else", path="/console/")
    assert anna.sign_in_there().status_code == 303
    assert anna.see("/").status_code == 200
    assert attacker.see("/").status_code == 303


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/console/", "/console/../docs/", "x" * 3000]
)
def test_the_sign_in_leads_nowhere_else(anna: Person, elsewhere: str) -> None:
    assert anna.sign_in_there(f"?next={elsewhere}").headers["Location"] == "/console/"


def test_pages_of_the_sign_in_are_in_no_frame_and_run_nothing(anna: Person) -> None:
    for path in ("/sign-in/", "/sign-in/return/"):
        headers = anna.see(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")


def test_nobody_tries_many_times_a_second(api: Api, false: FalseProvider) -> None:
    """Neither keys nor answers; each process of its own."""
    http = Person(api_of(api.engine, false.issuer, rate=10), false).http
    for method, path in (("GET", "/console/sign-in/return/"), ("POST", "/console/sign-in/")):
        statuses = (http.open(path, method=method, data={"key": "guessed"}).status_code for _ in range(500))
        assert 429 in statuses, path


def test_no_form_of_another_site_does_anything(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        assert anna.http.post("/console/mailings/new/", data={"text": "x"}, headers=headers).status_code == 403
    assert api.execute("select count(*) from mailings where text = 'x'") == 0


def test_nothing_of_a_session_can_be_read_in_the_database(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    rows = api.execute("select string_agg(sessions::text || encode(id_token, 'escape'), ' ') from sessions")
    cookie = anna.http.get_cookie("console", path="/console/")
    assert cookie
    assert not any(part in rows for part in (cookie.value, "anna-1", "eyJ"))


# ---------------------------------------------------------------- the provider


def test_a_provider_that_is_away_keeps_nobody_out_who_is_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_PAUSE", 0.0)
    with identity_provider.serving() as false:
        here = api_of(api.engine, false.issuer)
        anna = Person(here, false)
        anna.sign_in_there()
        late = Person(here, false)
        path = false.send_back(late.led())
    assert anna.see("/mailings/").status_code == 200
    assert is_refused(late.come_back(path), 503)
    never_met = Person(api_of(api.engine, false.issuer), false)
    response = never_met.see("/sign-in/provider/?next=/console/mailings/")
    assert is_refused(response, 503)
    assert "The identity provider does not answer." in response.text
    assert anna.send("/sign-out/", seen_on="/").status_code == 200
    assert anna.see("/").status_code == 303


# ---------------------------------------------------------------- out, and once more


def test_who_signs_out_is_sent_to_sign_out_there_as_well(anna: Person, false: FalseProvider, api: Api) -> None:
    anna.sign_in_there()
    response = anna.send("/sign-out/", seen_on="/")
    assert response.status_code == 200
    address = response.headers["Refresh"].removeprefix("0; url=")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{false.issuer}/end?")
    assert asked["post_logout_redirect_uri"] == "http://localhost/console/sign-in/"
    assert asked["id_token_hint"].startswith("eyJ")
    assert api.execute("select count(*) from sessions") == 0
    assert anna.see("/").status_code == 303


def test_a_provider_where_nobody_signs_out(anna: Person, false: FalseProvider) -> None:
    false.document["end_session_endpoint"] = None
    anna.sign_in_there()
    assert anna.send("/sign-out/", seen_on="/").headers["Location"] == "/console/sign-in/"


def test_who_is_to_prove_it_once_more_does_so_at_the_provider(anna: Person, false: FalseProvider, api: Api) -> None:
    false.claims["auth_time"] = int(time.time()) - 7200
    anna.sign_in_there()
    assert signed_in_since(anna, api) > 7100
    asked = parse_qs(urlsplit(anna.led("?again=yes")).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["300"])
    for missing in (int(time.time()) - 7200, None, "now"):
        false.claims["auth_time"] = missing
        assert is_refused(anna.sign_in_there("?again=yes"))
    false.claims["auth_time"] = int(time.time())
    assert anna.sign_in_there("?again=yes&next=/console/audit/").headers["Location"] == "/console/audit/"
    assert signed_in_since(anna, api) < 60


def signed_in_since(person: Person, api: Api) -> float:
    cookie = person.http.get_cookie("console", path="/console/")
    assert cookie
    seconds: float = api.app.extensions["sessions"].find(cookie.value).signed_in_since(clock.now())
    return seconds


def test_nobody_knows_when_where_the_provider_does_not_say(anna: Person, false: FalseProvider, api: Api) -> None:
    false.claims["auth_time"] = None
    anna.sign_in_there()
    assert signed_in_since(anna, api) == float("inf")


def test_what_cannot_be_taken_back_asks_to_sign_in_once_more(anna: Person, false: FalseProvider, api: Api) -> None:
    false.claims |= {"groups": ["ops"], "auth_time": int(time.time()) - 7200}
    anna.sign_in_there()
    page = anna.read("/keys/new/")
    assert 'name="key_again"' not in page
    [again] = re.findall(r'href="/console/sign-in/provider/(\?again[^"]*)"', page)
    wanted = {"name": "Robot", "scope": "read", "days": ""}
    assert anna.send("/keys/new/", **wanted).status_code == 422
    false.claims["auth_time"] = int(time.time())
    assert anna.sign_in_there(unescape(again)).headers["Location"] == "/console/keys/new/"
    assert "sign-in/provider" not in anna.read("/keys/new/")
    assert anna.send("/keys/new/", **wanted).status_code == 422, "it would outlive what their groups allow"
    assert anna.send("/keys/new/", **wanted | {"days": "30"}).status_code == 200
    assert api.execute("select count(*) from api_keys where name = 'Robot' and made_by is null") == 1


def test_who_erases_somebody_has_signed_in_just_now(anna: Person, false: FalseProvider, api: Api) -> None:
    api.execute("insert into clients (phone, operator_code, tag, timezone) values (79120000001, '912', '', 'UTC')")
    erasing = f"/clients/{api.execute('select max(id) from clients')}/erase/"
    whom = {"phone": "79120000001", "revision": '"1"'}
    false.claims["auth_time"] = int(time.time()) - 7200
    anna.sign_in_there()
    assert f"/sign-in/provider/?again=yes&amp;next=/console{erasing}" in anna.read(erasing)
    assert anna.send(erasing, **whom).status_code == 403
    assert api.execute("select count(*) from clients where phone = 79120000001") == 1
    false.claims["auth_time"] = int(time.time())
    anna.sign_in_there(f"?again=yes&next=/console{erasing}")
    assert anna.send(erasing, **whom).headers["Location"].endswith("/erased/")
    assert api.execute("select count(*) from clients where phone = 79120000001") == 0


def test_an_administrator_ends_the_session_of_a_person(anna: Person, false: FalseProvider, api: Api) -> None:
    false.claims["groups"] = ["ops"]
    anna.sign_in_there()
    false.claims |= {"sub": "boris", "name": "Boris", "groups": ["support"]}
    boris = Person(api, false)
    boris.sign_in_there()
    [theirs] = re.findall(r'/console/sessions/(\w+)/end/" aria-label="[^"]*Boris', anna.read("/sessions/"))
    assert "Their key stays" not in anna.read(f"/sessions/{theirs}/end/")
    assert anna.send(f"/sessions/{theirs}/end/").status_code == 303
    assert boris.see("/").status_code == 303
    assert anna.see("/").status_code == 200
    last = api.execute("select after from audit where action = 'end' order by id desc limit 1")
    assert re.fullmatch(r"person \w+", last["by"])


def test_keys_sign_in_beside_it_where_that_is_allowed(api: Api, false: FalseProvider) -> None:
    token = stored(api.engine, Scope.READ)
    both = Browser(api_of(api.engine, false.issuer, console_keys=True))
    assert {'name="key"', "/sign-in/provider/"} <= {
        part for part in ('name="key"', "/sign-in/provider/") if part in both.read("/sign-in/")
    }
    assert both.sign_in(token).status_code == 303
    cookie = both.http.get_cookie("console", path="/console/")
    assert cookie
    no_more = Browser(api)
    no_more.http.set_cookie("console", cookie.value, path="/console/")
    assert no_more.see("/").status_code == 303, "what keys have begun before is over as well"


def test_what_a_provider_has_begun_is_over_with_it(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    cookie = anna.http.get_cookie("console", path="/console/")
    assert cookie
    without = Api(api.engine, auth=True)
    for one in (without, api_of(api.engine, "https://id.example")):
        other = Browser(one)
        other.http.set_cookie("console", cookie.value, path="/console/")
        assert other.see("/").status_code == 303
    assert Browser(without).see("/sign-in/provider/").headers["Location"] == "/console/sign-in/"


def test_a_file_that_is_under_way_ends_with_the_session(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    token = re.search(r'name="form_token" value="(\w+)"', anna.read("/imports/"))
    assert token
    fields = f'--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token[1]}\r\n'
    fields += '--x\r\nContent-Disposition: form-data; name="what"\r\n\r\ntake\r\n'
    fields += '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nphone\r\n'
    lines = "".join(f"{79120000000 + each}\r\n" for each in range(30_000))

    def end_it() -> None:
        api.execute("delete from sessions")
        api.app.extensions["watch"].look()

    body = Hourglass(f"{fields}{lines}\r\n--x--\r\n".encode(), end_it)
    anna.http.post("/console/imports/", input_stream=body, content_type="multipart/form-data; boundary=x")
    assert api.execute("select max(failure) from imports") == ENDED
    assert api.execute("select count(*) from clients") < 30_000


# ---------------------------------------------------------------- as it is deployed


def test_a_service_without_a_key_starts_without_the_provider_and_signs_people_in(
    processes: Processes, lines: list[str], database_url: str
) -> None:
    with identity_provider.serving() as false:
        env = {**OPEN, "API_AUTH": "on", "DATABASE_URL": database_url, "API_WORKERS": "1", "OIDC_ISSUER": false.issuer}
        env |= {"OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET, "OIDC_SCOPES_BY_GROUP": "ops:admin"}
        processes.start("api", "api_service", env)
        server = Server(processes, lines)
        with requests.Session() as http:
            assert "Sign in at 127.0.0.1" in http.get(f"{server.url}/console/", timeout=30).text
            assert false.asked == []
            led = http.get(f"{server.url}/console/sign-in/provider/", allow_redirects=False, timeout=30)
            back = f"{server.url}{false.send_back(led.headers['Location'])}"
            assert "Anna Müller" in http.get(back, timeout=30).text
    [line] = server.events("signed_in")
    assert (line["scope"], len(str(line["person"]))) == ("admin", 12)
    assert not [line for line in lines if SECRET in line or "Anna" in line or "eyJ" in line]
