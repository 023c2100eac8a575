"""Whom a mailing comes from: one of the senders of the providers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from shared.domain.profile.provider import Limits, Providers
from shared.providers.loading import seed
from tests.support.api import HOUR, Api, from_now, mailing

pytest_plugins = ("tests.support.api_fixture",)

ONE = replace(seed("http://127.0.0.1:1", "", Limits()), name="one", senders=("Shop", "79000000000"))
TWO = replace(seed("http://127.0.0.1:2", "", Limits()), name="two", senders=("Bank",))


@pytest.fixture
def shop(engine: Engine) -> Iterator[Api]:
    api = Api(engine, providers=Providers([ONE, TWO]))
    yield api
    api.assert_balanced()


def test_a_mailing_names_a_sender_of_a_provider(shop: Api) -> None:
    made = shop.make("/mailings/", mailing(sender="Bank"))
    assert made["sender"] == "Bank"
    path = f"/mailings/{made['id']}/"
    assert shop("PATCH", path, {"sender": "Shop"}).json["sender"] == "Shop"
    assert shop("PATCH", path, {"sender": None}).json["sender"] is None
    assert shop.make("/mailings/", mailing())["sender"] is None


@pytest.mark.parametrize("sender", ["Shopp", "shop", "", "x" * 33, 7])
def test_no_other_is_taken(shop: Api, sender: object) -> None:
    answer = shop("POST", "/mailings/", mailing(sender=sender))
    assert (answer.status, answer.at_fault) == (422, {"sender"})
    if sender == "Shopp":
        assert "there are 79000000000, Bank, Shop." in str(answer.json["errors"])


def test_without_senders_none_can_be_named(api: Api) -> None:
    answer = api("POST", "/mailings/", mailing(sender="Shop"))
    assert (answer.status, answer.at_fault) == (422, {"sender"})


def test_it_is_frozen_at_the_launch(shop: Api) -> None:
    made = shop.make("/mailings/", mailing(sender="Bank", starts_at=from_now(-HOUR)))
    answer = shop("PATCH", f"/mailings/{made['id']}/", {"sender": "Shop"})
    assert (answer.status, answer.at_fault) == (409, {"sender"})
