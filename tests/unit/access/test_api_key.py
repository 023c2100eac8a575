"""What a key looks like, what it opens, and that its secret does not slip out."""

import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api_service.web import key
from api_service.web.key import Key, Scope, Token
from api_service.web.refusal import Refusal

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def known(token: Token, expires_at: datetime | None = None) -> Key:
    return Key(token.id, Scope.READ, token.digest, expires_at)


def test_a_key_reads_back_as_it_was_made() -> None:
    for _ in range(200):
        token = key.new()
        assert key.parsed(str(token)) == token


def test_keys_differ_and_are_long() -> None:
    made = [key.new() for _ in range(200)]
    assert len({token.id for token in made}) == len({token.secret for token in made}) == 200
    assert all(len(token.secret) == 43 for token in made)  # 256 bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nsk_",
        "nsk_0123456789ab_",
        "nsk_0123456789ab_short",
        f"nsk_0123456789AB_{'a' * 43}",
        f"nsk_0123456789abc_{'a' * 43}",
        f"NSK_0123456789ab_{'a' * 43}",
        f"nsk_0123456789ab_{'a' * 43}\n",
        f" nsk_0123456789ab_{'a' * 43}",
        f"nsk_0123456789ab_{'ä' * 43}",
        f"nsk_0123456789ab_{'a' * 5000}",
        f"nsk_{chr(0x660)}123456789ab_{'a' * 43}",
    ],
)
def test_what_is_no_key(text: str) -> None:
    assert key.parsed(text) is None


def test_only_the_right_secret_opens_and_only_in_time() -> None:
    token = key.new()
    other = Token(token.id, key.new().secret)
    assert known(token).refusal(token, NOW) is None
    assert known(token, NOW + MINUTE).refusal(token, NOW) is None
    assert known(token, NOW).refusal(token, NOW) is Refusal.EXPIRED
    revoked = replace(known(token, NOW), revoked_at=NOW)
    assert revoked.refusal(token, NOW) is Refusal.REVOKED
    for one in (known(token), known(token, NOW), revoked):
        assert one.refusal(other, NOW) is Refusal.WRONG_SECRET  # what became of a key is not for who guesses


def test_a_scope_allows_itself_and_those_before_it() -> None:
    allowed = {(have, want): have.allows(want) for have in Scope for want in Scope}
    assert {pair for pair, yes in allowed.items() if yes} == {
        ("read", "read"),
        ("test", "read"),
        ("test", "test"),
        ("write", "read"),
        ("write", "test"),
        ("write", "write"),
        ("admin", "read"),
        ("admin", "test"),
        ("admin", "write"),
        ("admin", "admin"),
    }


def test_a_traceback_that_shows_a_key_does_not_show_its_secret() -> None:
    token = key.new()
    try:
        raise ValueError(token, known(token))
    except ValueError:
        told = traceback.format_exc()
    assert token.id in told
    assert token.secret not in told
