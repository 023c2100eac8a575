"""What an identity provider publishes of itself (OpenID Connect Discovery). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""With which ID tokens may be signed: those where nobody but the provider has the key."""

PATH = "/.well-known/openid-configuration"

_METHODS = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class Metadata:
    """algorithms: with which it may sign. methods: how a secret may be shown. scope: what is asked for.
    names_itself: every answer to a sign-in has the issuer in it (RFC 9207)."""

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    end_session: str | None
    algorithms: tuple[str, ...]
    method: str
    scope: str
    names_itself: bool


def parsed(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Raises ValueError with why it makes no sense."""
    if document.get("issuer") != issuer:
        raise ValueError(f"it calls itself {document.get('issuer')!r}, and OIDC_ISSUER must be the same to the letter")
    is_plain = urlsplit(issuer).scheme == "http"
    algorithms = _strings(document, "id_token_signing_alg_values_supported", ["RS256"])
    methods = _strings(document, "token_endpoint_auth_methods_supported", ["client_secret_basic"])
    method = next((one for one in _METHODS if one in methods), _METHODS[0])
    offered = _strings(document, "scopes_supported", [])
    return Metadata(
        authorization=_address(document, "authorization_endpoint", is_plain),
        token=_address(document, "token_endpoint", is_plain),
        keys=_address(document, "jwks_uri", is_plain),
        userinfo=_address(document, "userinfo_endpoint", is_plain) if "userinfo_endpoint" in document else None,
        end_session=_address(document, "end_session_endpoint", is_plain)
        if "end_session_endpoint" in document
        else None,
        algorithms=tuple(one for one in ALGORITHMS if one in algorithms),
        method=method,
        scope=" ".join(["openid", "profile", *(["groups"] if "groups" in offered else [])]),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _strings(document: Mapping[str, Any], name: str, missing: list[str]) -> list[str]:
    found = document.get(name, missing)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else missing


def _address(document: Mapping[str, Any], name: str, is_plain: bool) -> str:
    """is_plain: it may go over http://, as the issuer does."""
    found = document.get(name)
    is_whole = isinstance(found, str) and found.isascii() and found.isprintable() and " " not in found
    parts = urlsplit(str(found))
    if not is_whole or not parts.hostname or parts.scheme not in ("https", "http" if is_plain else "https"):
        raise ValueError(f"its {name} is no https:// address")
    return str(found)
