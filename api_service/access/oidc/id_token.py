"""What an ID token proves (OpenID Connect Core, 3.1.3.7). Pure, but for its arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from api_service.access.oidc.errors import UnknownKey, Unproven

LEEWAY = 60
"""Seconds that the provider's clock and ours may differ."""

_LONGEST_SUBJECT = 255  # as the standard has it


@dataclass(frozen=True, slots=True)
class Wanted:
    """algorithms: with which it may be signed."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Sequence[str]


def checked(token: Mapping[str, Any], keys: Mapping[str, Any], wanted: Wanted, now: datetime) -> dict[str, Any]:
    """The claims of the one among these tokens. keys: a JWK set. Raises UnknownKey, Unproven."""
    try:
        # Not what `algorithms` of the token's own header says: by that, anybody could sign with a public key.
        registry = JWSRegistry(algorithms=list(wanted.algorithms), strict_check_header=False)
        known = KeySet.import_key_set(keys)  # type: ignore[arg-type]  # what makes no sense, it refuses
        decoded = jwt.decode(token["id_token"], known, registry=registry)
        # By itself this class accepts a token that is for nobody, `aud: []`.
        options = {
            "iss": {"essential": True, "value": wanted.issuer},
            "aud": {"essential": True, "value": wanted.client_id},
            "sub": {"essential": True},
        }
        about = {"client_id": wanted.client_id, "nonce": wanted.nonce, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, about)
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY)
    except (InvalidKeyIdError, BadSignatureError) as error:
        raise UnknownKey(f"its signature: {type(error).__name__}") from error
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unproven(f"{type(error).__name__}: {error}"[:200]) from error
    if not isinstance(claims["sub"], str) or len(claims["sub"]) > _LONGEST_SUBJECT:
        raise Unproven("its subject is no text, or longer than 255 characters")
    return dict(claims)
