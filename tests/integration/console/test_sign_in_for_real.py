"""Signing in on the console at a provider that somebody else has written, over HTTP: there with a password, here with
what the groups there allow; and out again, in both."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from pytest_iam import Server
from sqlalchemy import Engine

from api_service.access.oidc.identity import Client
from api_service.access.oidc.provider import IdentityProvider
from api_service.web.key import Scope
from tests.integration.console.test_pages import Browser
from tests.support.api import Api

pytest_plugins = ("tests.support.iam",)

HERE = "http://localhost/console/sign-in"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def service(iam_server: Server) -> Client:
    """What the console is there."""
    name = uuid.uuid4().hex
    client = iam_server.models.Client(
        client_id=name,
        client_secret="s3cret",
        client_name="Mailings",
        client_uri="http://mailings.example/",
        redirect_uris=[f"{HERE}/return/"],
        post_logout_redirect_uris=[f"{HERE}/"],
        grant_types=["authorization_code"],
        response_types=["code"],
        token_endpoint_auth_method="client_secret_basic",
        scope=["openid", "profile", "groups"],
    )
    iam_server.backend.save(client)
    client.audience = [client]
    iam_server.backend.save(client)
    return Client(iam_server.url.rstrip("/"), name, "s3cret", "groups")


@pytest.fixture
def api(engine: Engine, service: Client) -> Iterator[Api]:
    by_group = {"ops": Scope.ADMIN, "support": Scope.READ}
    yield Api(
        engine, auth=True, identity_provider=IdentityProvider(service), scopes_by_group=by_group, console_keys=False
    )
    engine.dispose()


class BrowserThere:
    """Somebody's, at the provider: it fills in what it is asked."""

    def __init__(self, login: str, *, answer: str = "accept") -> None:
        self._http = requests.Session()
        self._answers = {"login": login, "password": PASSWORD, "answer": answer}
        self.filled_in: list[str] = []

    def follow(self, address: str) -> str:
        """From there to where it leads back."""
        response = self._http.get(address, allow_redirects=False, timeout=30)
        while not (response.is_redirect and response.headers["Location"].startswith(HERE)):
            if response.is_redirect:
                place = urljoin(response.url, response.headers["Location"])
                response = self._http.get(place, allow_redirects=False, timeout=30)
                continue
            assert response.status_code == 200, response.text
            [asked, *_] = [name for name in self._answers if f'name="{name}"' in response.text]
            self.filled_in.append(asked)
            form = {asked: self._answers[asked]}
            response = self._http.post(response.url, data=form, allow_redirects=False, timeout=30)
        return response.headers["Location"].removeprefix("http://localhost")


def in_groups(iam: Server, user: Any, *names: str) -> None:
    for group in iam.backend.query(iam.models.Group):
        iam.backend.delete(group)
    for name in names:
        iam.backend.save(iam.models.Group(display_name=name, members=[user]))
    iam.backend.reload(user)


def test_anna_signs_in_with_a_password_does_what_her_groups_may_and_signs_out(iam_server: Server, api: Api) -> None:
    anna = iam_server.random_user(user_name="anna", password=PASSWORD, formatted_name="Anna Müller")
    in_groups(iam_server, anna, "support", "staff")
    here, there = Browser(api), BrowserThere("anna")

    def sign_in() -> Any:
        led = here.see("/sign-in/provider/?next=/console/mailings/").headers["Location"]
        return here.http.get(there.follow(led))

    assert sign_in().headers["Location"] == "/console/mailings/"
    assert there.filled_in == ["login", "password", "answer"]
    assert "Anna Müller" in here.read("/mailings/")
    assert here.see("/audit/").status_code == 403

    in_groups(iam_server, anna, "ops")
    assert sign_in().status_code == 303
    assert len(there.filled_in) == 3, "the provider knows them by now"
    assert "Anna Müller" in here.read("/audit/")

    in_groups(iam_server, anna)
    response = sign_in()
    assert response.status_code == 403
    assert "You are in no group" in response.text
    assert here.see("/").status_code == 303

    in_groups(iam_server, anna, "ops")
    sign_in()
    led = here.send("/sign-out/", seen_on="/").headers["Refresh"].removeprefix("0; url=")
    assert there.follow(led).startswith("/console/sign-in/")
    assert here.see("/").status_code == 303
    sign_in()
    assert there.filled_in[3:] == ["login", "password"], "it does not know them any more"


def test_a_token_that_the_provider_has_made_for_nobody_opens_nothing(
    iam_server: Server, api: Api, service: Client
) -> None:
    """It does so for a service of which nobody has told it that tokens are for it: `aud` is an empty list."""
    gleb = iam_server.random_user(user_name="gleb", password=PASSWORD)
    in_groups(iam_server, gleb, "ops")
    client = iam_server.backend.get(iam_server.models.Client, client_id=service.id)
    client.audience = []
    iam_server.backend.save(client)
    try:
        here, there = Browser(api), BrowserThere("gleb")
        response = here.http.get(there.follow(here.see("/sign-in/provider/").headers["Location"]))
    finally:
        client.audience = [client]
        iam_server.backend.save(client)
    assert response.status_code == 403
    assert api.execute("select count(*) from sessions") == 0


def test_somebody_proves_once_more_who_they_are(iam_server: Server, api: Api) -> None:
    boris = iam_server.random_user(user_name="boris", password=PASSWORD)
    in_groups(iam_server, boris, "ops")
    here, there = Browser(api), BrowserThere("boris")
    for again in ("", "?again=yes"):
        led = here.see(f"/sign-in/provider/{again}").headers["Location"]
        assert here.http.get(there.follow(led)).status_code == 303
    assert there.filled_in.count("password") == 2


def test_who_says_no_there_is_not_in_here(iam_server: Server, api: Api) -> None:
    iam_server.random_user(user_name="vera", password=PASSWORD)
    for consent in iam_server.backend.query(iam_server.models.Consent):
        iam_server.backend.delete(consent)
    here, there = Browser(api), BrowserThere("vera", answer="deny")
    response = here.http.get(there.follow(here.see("/sign-in/provider/").headers["Location"]))
    assert there.filled_in == ["login", "password", "answer"]
    assert response.status_code == 403
    assert re.search(r'role="alert">[^<]*did not say who you are', response.text)
