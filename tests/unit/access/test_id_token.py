"""What an ID token has to prove, and that one which does not is refused: forged, late, or meant for others."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api_service.access.oidc.errors import UnknownKey, Unproven
from api_service.access.oidc.id_token import Wanted, checked
from api_service.access.oidc.metadata import ALGORITHMS
from tests.support.identity_provider import CLIENT, PUBLIC, a_key, signed

NOW = datetime(2050, 1, 31, 12, tzinfo=UTC)
NOW_SECONDS = int(NOW.timestamp())
ISSUER = "https://id.shop.example/"
NONCE = "of this sign-in"
RIGHT: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "anna-1",
    "aud": CLIENT,
    "iat": NOW_SECONDS,
    "exp": NOW_SECONDS + 300,
    "nonce": NONCE,
}


def claims_of(
    differs: dict[str, Any], *, algorithm: str = "RS256", signer: int = 0, algorithms: tuple[str, ...] = ("RS256",)
) -> dict[str, Any]:
    """Raises what `checked` does."""
    given = {name: value for name, value in (RIGHT | differs).items() if value is not None}
    token = {"id_token": signed(given, a_key(signer), algorithm), "access_token": "t0ken"}
    keys = {"keys": [a_key(0).as_dict(private=False)]}
    return checked(token, keys, Wanted(ISSUER, CLIENT, NONCE, algorithms), NOW)


@pytest.mark.parametrize(
    "differs",
    [
        {},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another-service"], "azp": CLIENT},
        {"exp": NOW_SECONDS - 30},  # clocks differ
        {"iat": NOW_SECONDS + 30},
        {"sub": "a" * 255},
        {"groups": ["ops"], "whatever": {"else": 1}},
    ],
)
def test_what_is_right_is_taken_as_it_is(differs: dict[str, Any]) -> None:
    assert claims_of(differs) == RIGHT | differs


WRONG: dict[str, dict[str, Any]] = {
    "for nobody": {"aud": []},
    "for no name": {"aud": [""]},
    "for another service": {"aud": "another-service"},
    "for others": {"aud": ["another-service", "a-third"]},
    "for several, and it does not say who asked for it": {"aud": [CLIENT, "another-service"]},
    "for several, asked for by another": {"aud": [CLIENT, "another-service"], "azp": "another-service"},
    "asked for by another": {"azp": "another-service"},
    "for whoever": {"aud": None},
    "for what is no name": {"aud": {CLIENT: True}},
    "of another provider": {"iss": "https://evil.example"},
    "of one that is the same but for a slash": {"iss": ISSUER.rstrip("/")},
    "of one among several": {"iss": [ISSUER, "https://evil.example"]},
    "of no provider": {"iss": None},
    "of another sign-in": {"nonce": "of another"},
    "of several sign-ins": {"nonce": [NONCE]},
    "of no sign-in": {"nonce": None},
    "expired": {"exp": NOW_SECONDS - 61},
    "for ever": {"exp": None},
    "until nobody knows when": {"exp": "tomorrow"},
    "of the future": {"iat": NOW_SECONDS + 3600},
    "of whenever": {"iat": None},
    "not valid yet": {"nbf": NOW_SECONDS + 3600},
    "of nobody": {"sub": None},
    "of a number": {"sub": 7},
    "of an empty name": {"sub": ""},
    "of a name without end": {"sub": "a" * 256},
    "beside the tokens of another": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("differs", WRONG.values(), ids=WRONG)
def test_what_is_wrong_proves_nothing(differs: dict[str, Any]) -> None:
    with pytest.raises(Unproven):
        claims_of(differs)


@pytest.mark.filterwarnings("ignore:.*none")
@pytest.mark.parametrize("algorithm", [PUBLIC, "none", "RS512"])
def test_it_is_signed_as_the_provider_signs_and_not_as_it_says_itself(algorithm: str) -> None:
    with pytest.raises(Unproven):
        claims_of({}, algorithm=algorithm)


def test_nothing_that_a_secret_signs_is_ever_taken() -> None:
    assert not {one for one in ALGORITHMS if one == "none" or one.startswith("HS")}
    assert claims_of({}, algorithm="PS256", algorithms=ALGORITHMS) == RIGHT


def test_a_key_that_is_not_known_may_be_asked_for() -> None:
    with pytest.raises(UnknownKey):
        claims_of({}, signer=1)


KNOWN = "those that are published"


@pytest.mark.parametrize("text", ["", "e30.e30.e30", "e30.e30.", "\u0660", "x" * 10_000, None, ["x"]])
@pytest.mark.parametrize("keys", [{"keys": []}, {}, {"keys": "x"}, {"keys": [{"kty": "RSA"}]}, KNOWN])
def test_what_makes_no_sense_proves_nothing(text: Any, keys: Any) -> None:
    known = {"keys": [a_key(0).as_dict(private=False)]} if keys == KNOWN else keys
    with pytest.raises(Unproven):
        checked({"id_token": text}, known, Wanted(ISSUER, CLIENT, NONCE, ("RS256",)), NOW)
