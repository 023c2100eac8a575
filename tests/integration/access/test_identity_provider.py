"""What is asked of an identity provider, what of its answers is believed, and for how long anybody waits for one."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from api_service.access.oidc import attempt, metadata, provider, wire
from api_service.access.oidc.attempt import Attempt
from api_service.access.oidc.errors import Away, Unproven
from api_service.access.oidc.identity import Client, Identity
from api_service.access.oidc.provider import IdentityProvider
from shared import clock
from tests.support import identity_provider
from tests.support.identity_provider import CLIENT, SECRET, FalseProvider, Handler

BACK = "https://mail.shop.example/console/sign-in/return/"
DISCOVERY = ".well-known/openid-configuration"


@pytest.fixture
def false() -> Iterator[FalseProvider]:
    with identity_provider.serving() as served:
        yield served


@pytest.fixture
def known(false: FalseProvider) -> IdentityProvider:
    return IdentityProvider(Client(false.issuer, CLIENT, SECRET, "groups"))


def signs_in(
    known: IdentityProvider, false: FalseProvider, *, begun: Attempt | None = None, **differs: str | None
) -> Identity:
    """Raises what `IdentityProvider` does."""
    begun = begun or attempt.begin(clock.now(), "")
    path = false.send_back(known.address(begun, BACK), **differs)
    return known.identify(begun, dict(parse_qsl(urlsplit(path).query)), BACK)


def test_somebody_is_who_the_provider_says(known: IdentityProvider, false: FalseProvider) -> None:
    anna = signs_in(known, false)
    assert (anna.subject, anna.name, anna.groups) == ("anna-1", "Anna Müller", frozenset({"ops"}))
    assert anna.authenticated_at
    assert "eyJ" not in repr(anna)
    assert SECRET not in repr(known.client)


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
def test_an_answer_that_is_not_the_providers_is_not_looked_into(
    known: IdentityProvider, false: FalseProvider, differs: dict[str, Any]
) -> None:
    with pytest.raises(Unproven):
        signs_in(known, false, **differs)
    assert "token" not in false.asked


def test_a_provider_that_does_not_name_itself_need_not(known: IdentityProvider, false: FalseProvider) -> None:
    false.document["authorization_response_iss_parameter_supported"] = None
    assert signs_in(known, false, iss=None).subject == "anna-1"
    with pytest.raises(Unproven, match="another provider"):
        signs_in(known, false, iss="https://evil.example")


@pytest.mark.parametrize("seconds", [-1200, 1200])
def test_what_began_long_ago_or_never_is_over(known: IdentityProvider, false: FalseProvider, seconds: int) -> None:
    begun = attempt.begin(clock.now(), "")
    with pytest.raises(Unproven, match="ten minutes"):
        signs_in(known, false, begun=Attempt(begun.token, begun.begun + seconds))


def test_what_is_told_of_somebody_else_is_not_taken(known: IdentityProvider, false: FalseProvider) -> None:
    false.claims["groups"] = None
    false.userinfo = {"sub": "anna-1", "groups": ["marketing"]}
    assert signs_in(known, false).groups == {"marketing"}
    false.userinfo["sub"] = "somebody else"
    with pytest.raises(Unproven, match="somebody else"):
        signs_in(known, false)


@pytest.mark.parametrize("id_token", [None, "e30.e30.e30", "", ["x"]])
def test_no_token_proves_nothing(known: IdentityProvider, false: FalseProvider, id_token: object) -> None:
    false.more = {"id_token": id_token}
    with pytest.raises(Unproven):
        signs_in(known, false)


def test_other_keys_are_asked_for_when_they_are_needed(known: IdentityProvider, false: FalseProvider) -> None:
    for _ in range(2):
        signs_in(known, false)
    assert false.asked.count("keys") == false.asked.count(DISCOVERY) == 1
    false.rotate()
    signs_in(known, false)
    assert false.asked.count("keys") == 2
    false.key = identity_provider.a_key(2)  # which it does not publish
    with pytest.raises(Unproven):
        signs_in(known, false)


def test_what_it_publishes_is_read_again_after_a_while(
    known: IdentityProvider, false: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs_in(known, false)
    monkeypatch.setattr(provider, "_FRESH", 0.0)
    signs_in(known, false)
    assert false.asked.count("keys") == 2


@pytest.mark.parametrize(
    ("methods", "has_header"),
    [
        (None, True),
        (["client_secret_post"], False),
        (["client_secret_post", "client_secret_basic"], True),
        (["private_key_jwt"], True),
    ],
)
def test_the_secret_is_shown_as_the_provider_takes_it(
    known: IdentityProvider, false: FalseProvider, methods: list[str] | None, has_header: bool
) -> None:
    false.document["token_endpoint_auth_methods_supported"] = methods
    signs_in(known, false)
    assert ("Authorization" in false.headers) is has_header
    assert ("client_secret" in false.form) is not has_header


def test_a_service_without_a_secret_shows_none(false: FalseProvider) -> None:
    signs_in(IdentityProvider(Client(false.issuer, CLIENT, "", "groups")), false)
    assert "Authorization" not in false.headers
    assert (false.form["client_id"], "client_secret" in false.form) == (CLIENT, False)


# ---------------------------------------------------------------- one that misbehaves


def redirects(handler: Handler) -> None:
    handler.reply(302, b"", Location=f"http://{handler.headers['Host']}/elsewhere")


def is_endless(handler: Handler) -> None:
    _write(handler, b" " * 65536, 0.0)


def drips(handler: Handler) -> None:
    _write(handler, b" ", 0.02)


def _write(handler: Handler, piece: bytes, pause: float) -> None:
    """For ever."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        while True:
            handler.wfile.write(piece)
            time.sleep(pause)


def says_nonsense(handler: Handler) -> None:
    handler.reply(200, b"nonsense")


def says_a_list(handler: Handler) -> None:
    handler.reply(200, [])


def fails(handler: Handler) -> None:
    handler.reply(503, {})


@pytest.mark.parametrize("place", [DISCOVERY, "token", "keys", "userinfo"])
@pytest.mark.parametrize("does", [redirects, is_endless, drips, says_nonsense, says_a_list, fails])
def test_a_provider_that_misbehaves_holds_nobody_up(
    known: IdentityProvider,
    false: FalseProvider,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    does: Callable[[Handler], None],
) -> None:
    monkeypatch.setattr(wire, "DEADLINE", 0.2)
    monkeypatch.setattr(provider, "_PAUSE", 60.0)
    false.claims["groups"] = None
    false.answers[place] = does
    with pytest.raises(Away):
        signs_in(known, false)
    assert "elsewhere" not in false.asked
    asked = len(false.asked)
    with pytest.raises(Away, match="a moment ago"):
        signs_in(known, false)
    assert len(false.asked) == asked


def test_a_provider_that_says_nothing_is_waited_for_shortly(
    known: IdentityProvider, false: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 0.1)
    over = Event()
    false.answers[DISCOVERY] = lambda _handler: over.wait(30)
    try:
        with pytest.raises(Away, match="Timeout"):
            known.address(attempt.begin(clock.now(), ""), BACK)
    finally:
        over.set()


def test_a_provider_that_is_slow_holds_up_one_thread(
    known: IdentityProvider, false: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATIENCE", "DEADLINE"):
        monkeypatch.setattr(wire, name, 30.0)
    monkeypatch.setattr(provider, "_TURN", 0.05)
    asked, answer = Event(), Event()
    addresses: list[str] = []

    def is_slow(handler: Handler) -> None:
        asked.set()
        answer.wait(30)
        handler.reply(200, false.published())

    def ask() -> None:
        addresses.append(known.address(attempt.begin(clock.now(), ""), BACK))

    false.answers[DISCOVERY] = is_slow
    first = Thread(target=ask)
    first.start()
    try:
        assert asked.wait(30)
        with pytest.raises(Away, match="somebody else"):
            ask()
    finally:
        answer.set()
        first.join()
    assert len(addresses) == false.asked.count(DISCOVERY) == 1
    ask()  # whoever had to wait keeps nobody from asking


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"token_endpoint": "/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"end_session_endpoint": 7},
        {"authorization_endpoint": "http://[::1"},
        {"end_session_endpoint": "http://127.0.0.1/out\r\nSet-Cookie: console=planted"},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_asked(
    known: IdentityProvider, false: FalseProvider, document: dict[str, Any]
) -> None:
    false.document = document
    with pytest.raises(Away):
        known.address(attempt.begin(clock.now(), ""), BACK)
    assert false.asked == [DISCOVERY]


def test_where_one_goes_over_tls_all_do() -> None:
    secure = "https://id.shop.example"
    document = {"issuer": secure, "authorization_endpoint": f"{secure}/a", "jwks_uri": f"{secure}/k"}
    assert metadata.parsed(document | {"token_endpoint": f"{secure}/t"}, secure).token == f"{secure}/t"
    with pytest.raises(ValueError, match="token_endpoint"):
        metadata.parsed(document | {"token_endpoint": "http://id.shop.example/t"}, secure)
