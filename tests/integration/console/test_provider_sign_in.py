"""Signing in on the console at an identity provider: who gets in, and that what is forged, late or meant for others
opens nothing."""

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import Key
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from api_service.access.oidc import attempt, provider, wire
from api_service.access.oidc.provider import Client, IdentityProvider
from api_service.web.key import Scope
from shared import clock
from tests.integration.console.test_pages import Browser, stored
from tests.support import identity_provider
from tests.support.api import Api
from tests.support.identity_provider import CLIENT, SECRET, FalseProvider, a_key, public_as_secret

BY_GROUP = {"ops": Scope.ADMIN, "marketing": Scope.WRITE, "support": Scope.READ}


@pytest.fixture
def false() -> Iterator[FalseProvider]:
    with identity_provider.serving() as served:
        yield served


@pytest.fixture
def api(engine: Engine, false: FalseProvider) -> Iterator[Api]:
    yield api_of(engine, false.issuer)
    engine.dispose()


def api_of(engine: Engine, issuer: str, **more: Any) -> Api:
    client = Client(issuer, CLIENT, SECRET, "groups")
    given = {"auth": True, "scopes_by_group": BY_GROUP, "console_keys": False} | more
    return Api(engine, identity_provider=IdentityProvider(client), **given)


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


def test_what_is_told_of_somebody_else_is_not_taken(anna: Person, false: FalseProvider) -> None:
    false.claims["groups"] = None
    false.userinfo = {"sub": "somebody else", "groups": ["ops"]}
    assert is_refused(anna.sign_in_there())


def test_the_audit_names_somebody_by_an_id_that_is_ours_and_shows_their_name_beside_it(
    anna: Person, false: FalseProvider, api: Api
) -> None:
    anna.sign_in_there()
    made = anna.send("/mailings/new/", name="Spring", text="Hello").headers["Location"]
    assert made.endswith("/review/")
    person = api.execute("select id from people")
    assert re.fullmatch("[0-9a-f]{12}", person)
    assert api.execute("select array_agg(distinct by) from audit") == [f"person {person}"]
    rows = api.execute("select string_agg(audit::text, ' ') from audit")
    assert "Anna" not in rows
    assert "anna-1" not in rows
    assert f"person {person}, Anna Müller" in anna.read("/audit/")
    false.claims |= {"groups": ["marketing"], "name": "Anna Schmidt"}
    anna.sign_in_there()
    told = api.execute(
        "select string_agg(concat(action, before, after), '; ' order by id) from audit where thing = 'person'"
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


FORGED: list[tuple[str, dict[str, Any]]] = [
    ("for nobody", {"aud": []}),
    ("for another service", {"aud": "another-service"}),
    ("for others", {"aud": ["another-service", "a-third"]}),
    ("for several, and it does not say by whom it was asked for", {"aud": [CLIENT, "another-service"]}),
    ("asked for by another", {"aud": [CLIENT, "another-service"], "azp": "another-service"}),
    ("asked for by another, for this one", {"azp": "another-service"}),
    ("for whoever", {"aud": None}),
    ("of another provider", {"iss": "https://evil.example"}),
    ("of the same, but for a slash", {"iss": "http://127.0.0.1/"}),
    ("of no provider", {"iss": None}),
    ("of another sign-in", {"nonce": "another"}),
    ("of no sign-in", {"nonce": None}),
    ("expired", {"exp": int(time.time()) - 120}),
    ("for ever", {"exp": None}),
    ("for how long nobody knows", {"exp": "tomorrow"}),
    ("of the future", {"iat": int(time.time()) + 3600}),
    ("not valid yet", {"nbf": int(time.time()) + 3600}),
    ("of nobody", {"sub": None}),
    ("of a number", {"sub": 7}),
    ("of an empty name", {"sub": ""}),
    ("of a name without end", {"sub": "a" * 256}),
    ("beside the tokens of another", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
]


@pytest.mark.parametrize("claims", [claims for _, claims in FORGED], ids=[name for name, _ in FORGED])
def test_a_token_that_proves_nothing_opens_nothing(
    anna: Person, false: FalseProvider, api: Api, claims: dict[str, Any]
) -> None:
    false.claims |= claims
    assert is_refused(anna.sign_in_there())
    assert api.execute("select count(*) from sessions") == 0
    assert anna.see("/").status_code == 303


def test_clocks_may_differ_by_less_than_a_minute(anna: Person, false: FalseProvider) -> None:
    false.claims |= {"exp": int(time.time()) - 30, "iat": int(time.time()) + 30, "auth_time": int(time.time()) + 30}
    assert anna.sign_in_there().status_code == 303


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("HS256", lambda: public_as_secret(a_key(0))),
        ("none", lambda: a_key(0)),
        ("RS256", lambda: a_key(1)),
        ("RS512", lambda: a_key(0)),
    ],
    ids=["with the public key", "not at all", "with a key of somebody else", "in a way that the provider does not offer"],
)
def test_a_token_that_the_provider_has_not_signed_opens_nothing(
    anna: Person, false: FalseProvider, algorithm: str, key: Callable[[], Key]
) -> None:
    false.algorithm, false.key = algorithm, key()
    false.document["id_token_signing_alg_values_supported"] = ["RS256", "HS256", "none"]
    assert is_refused(anna.sign_in_there())


@pytest.mark.parametrize(
    "more", [{"id_token": None}, {"id_token": "e30.e30.e30"}, {"id_token": ""}, {"id_token": ["x"]}]
)
def test_no_token_opens_nothing(anna: Person, false: FalseProvider, more: dict[str, Any]) -> None:
    false.more = more
    assert is_refused(anna.sign_in_there())


@pytest.mark.parametrize(
    "differs",
    [
        {"state": "another"},
        {"state": None},
        {"state": "\u0660"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"code": None},
        {"code": None, "error": "access_denied"},
        {"code": "\u0660"},
        {"code": "x" * 5000},
    ],
)
def test_an_answer_that_is_not_the_providers_opens_nothing(
    anna: Person, false: FalseProvider, differs: dict[str, str | None]
) -> None:
    response = anna.sign_in_there(**differs)
    assert is_refused(response)
    assert "token" not in false.asked, "it is not even asked"


def test_a_provider_that_does_not_name_itself_need_not(anna: Person, false: FalseProvider) -> None:
    false.document["authorization_response_iss_parameter_supported"] = None
    assert anna.sign_in_there(iss=None).status_code == 303


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


def test_an_answer_that_is_late_is_not_taken(
    anna: Person, false: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = false.send_back(anna.led())
    later = clock.now() + attempt.LASTS + attempt.LASTS
    monkeypatch.setattr(clock, "now", lambda: later)
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


def test_nobody_tries_many_times_a_second(engine: Engine, false: FalseProvider) -> None:
    anna = Person(api_of(engine, false.issuer, rate=100), false)
    statuses = [anna.sign_in_there(code="guessed", state="guessed").status_code for _ in range(20)]
    assert set(statuses) == {403, 429}
    tries = [anna.http.post("/console/sign-in/", data={"key": "guessed"}).status_code for _ in range(120)]
    assert set(tries) == {403, 429}


def test_no_form_of_another_site_does_anything(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        assert anna.http.post("/console/mailings/new/", data={"text": "x"}, headers=headers).status_code == 403
    assert api.execute("select count(*) from mailings") == 0


def test_nothing_of_a_session_can_be_read_in_the_database(anna: Person, api: Api) -> None:
    anna.sign_in_there()
    rows = api.execute("select string_agg(sessions::text || encode(id_token, 'escape'), ' ') from sessions")
    cookie = anna.http.get_cookie("console", path="/console/")
    assert cookie
    assert not any(part in rows for part in (cookie.value, "anna-1", "eyJ"))


# ---------------------------------------------------------------- the provider


def test_other_keys_are_asked_for_when_they_are_needed(anna: Person, false: FalseProvider) -> None:
    for _ in range(2):
        assert anna.sign_in_there().status_code == 303
    assert false.asked.count("keys") == false.asked.count(".well-known/openid-configuration") == 1
    false.rotate()
    assert anna.sign_in_there().status_code == 303
    assert false.asked.count("keys") == 2


def test_a_provider_that_is_away_keeps_nobody_out_who_is_in(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_PAUSE", 0.0)
    with identity_provider.serving() as false:
        api = api_of(engine, false.issuer)
        anna = Person(api, false)
        anna.sign_in_there()
        late = Person(api, false)
        path = false.send_back(late.led())
    assert anna.see("/mailings/").status_code == 200
    assert is_refused(late.come_back(path), 503)
    never_met = Person(api_of(engine, false.issuer), false)
    response = never_met.see("/sign-in/provider/?next=/console/mailings/")
    assert is_refused(response, 503)
    assert "The identity provider does not answer." in response.text
    assert anna.send("/sign-out/", seen_on="/").status_code == 200
    assert anna.see("/").status_code == 303


Handler = BaseHTTPRequestHandler


def _redirects(handler: Handler) -> None:
    handler.reply(302, b"", Location=f"http://{handler.headers['Host']}/elsewhere")  # type: ignore[attr-defined]


def _endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def _drips(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass


def _says(body: bytes) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(200, body)  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", [".well-known/openid-configuration", "token", "keys"])
@pytest.mark.parametrize("does", [_redirects, _endless, _drips, _says(b"[]"), _says(b"nonsense")])
def test_a_provider_that_misbehaves_holds_nobody_up(
    anna: Person, false: FalseProvider, monkeypatch: pytest.MonkeyPatch, place: str, does: Callable[[Handler], None]
) -> None:
    monkeypatch.setattr(wire, "DEADLINE", 0.3)
    false.answers[place] = does
    began = clock.ticks()
    first = anna.see("/sign-in/provider/")
    response = anna.come_back(false.send_back(first.headers["Location"])) if first.status_code == 303 else first
    assert is_refused(response, 503)
    assert "elsewhere" not in false.asked
    assert clock.ticks() - began < 10
    asked = len(false.asked)
    assert is_refused(anna.see("/sign-in/provider/"), 503) or place != ".well-known/openid-configuration"
    assert len(false.asked) == asked, "nobody asks again right after that"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": None},
        {"token_endpoint": "/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_provider_that_describes_itself_wrongly_signs_nobody_in(
    anna: Person, false: FalseProvider, document: dict[str, Any]
) -> None:
    false.document = document
    assert is_refused(anna.see("/sign-in/provider/"), 503)


def test_a_provider_that_is_slow_holds_up_one_thread(
    api: Api, false: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "_TURN", 0.1)
    asked, answer = Event(), Event()

    def slow(handler: Handler) -> None:
        asked.set()
        answer.wait(10)
        handler.reply(503, b"")  # type: ignore[attr-defined]

    false.answers[".well-known/openid-configuration"] = slow
    first = Thread(target=Person(api, false).see, args=["/sign-in/provider/"])
    first.start()
    try:
        assert asked.wait(10)
        assert is_refused(Person(api, false).see("/sign-in/provider/"), 503)
        assert false.asked == [".well-known/openid-configuration"]
        assert first.is_alive()
    finally:
        answer.set()
        first.join()


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


def test_keys_sign_in_beside_it_where_that_is_allowed(engine: Engine, false: FalseProvider) -> None:
    token = stored(engine, Scope.READ)
    both = Browser(api_of(engine, false.issuer, console_keys=True))
    assert {'name="key"', "/sign-in/provider/"} <= {
        part for part in ('name="key"', "/sign-in/provider/") if part in both.read("/sign-in/")
    }
    assert both.sign_in(token).status_code == 303
    cookie = both.http.get_cookie("console", path="/console/")
    assert cookie
    no_more = Browser(api_of(engine, false.issuer))
    no_more.http.set_cookie("console", cookie.value, path="/console/")
    assert no_more.see("/").status_code == 303, "what keys have begun before is over as well"


def test_what_a_provider_has_begun_is_over_with_it(anna: Person, engine: Engine, false: FalseProvider) -> None:
    anna.sign_in_there()
    cookie = anna.http.get_cookie("console", path="/console/")
    assert cookie
    for api in (Api(engine, auth=True), api_of(engine, "https://id.example")):
        other = Browser(api)
        other.http.set_cookie("console", cookie.value, path="/console/")
        assert other.see("/").status_code == 303
    assert Browser(Api(engine, auth=True)).see("/sign-in/provider/").headers["Location"] == "/console/sign-in/"
