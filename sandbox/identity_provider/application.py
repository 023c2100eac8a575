"""The web application: canaille, set up and filled."""

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from canaille.oidc.jose import make_default_rsa_jwk

from sandbox.identity_provider.known import CLIENT_ID, PEOPLE


def make(issuer: str, consoles: Sequence[str], passwords: Mapping[str, str]) -> WSGIApplication:
    """consoles: addresses, each with a slash at its end. passwords: by login."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on this machine
    # The prefix: of the environment it takes nothing, which may have settings of the service.
    application = create_app(_configuration(issuer), env_prefix="IDENTITY_PROVIDER_")
    with application.app_context():
        _add_service(consoles)
        for person in PEOPLE:
            _add_person(person.login, person.given_name, person.family_name, person.group, passwords[person.login])
    return application  # type: ignore[no-any-return]


def _configuration(issuer: str) -> dict[str, Any]:
    return {
        "SECRET_KEY": secrets.token_hex(),
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": urlsplit(issuer).netloc,
        "CANAILLE": {
            "NAME": "demo",
            "LOGO": None,
            "DATABASE": "memory",
            "SMTP": None,  # left out, it would look for a server
            "ENABLE_PASSWORD_RECOVERY": False,
            "LOGIN_ATTRIBUTES": ["user_name"],
            "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
        },
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [make_default_rsa_jwk().as_dict(private=True)]},
    }


def _add_service(consoles: Sequence[str]) -> None:
    """A secret that stands in a public file would be none: the code is the client's by PKCE alone."""
    service = models.Client(
        client_id=CLIENT_ID,
        client_name="Notification service (demo: for trying only)",
        client_uri=consoles[0],  # of this machine, and so nobody is asked for consent
        redirect_uris=[f"{console}sign-in/return/" for console in consoles],
        post_logout_redirect_uris=[f"{console}sign-in/" for console in consoles],
        grant_types=["authorization_code"],
        response_types=["code"],
        token_endpoint_auth_method="none",  # noqa: S106 - a word of the protocol
        scope=["openid", "profile", "groups"],
    )
    Backend.instance.save(service)
    service.audience = [service]
    Backend.instance.save(service)


def _add_person(login: str, given_name: str, family_name: str, group: str, password: str) -> None:
    person = models.User(
        user_name=login,
        formatted_name=f"{given_name} {family_name}",
        given_name=given_name,
        family_name=family_name,
        password=password,
    )
    Backend.instance.save(person)
    Backend.instance.save(models.Group(display_name=group, members=[person]))
