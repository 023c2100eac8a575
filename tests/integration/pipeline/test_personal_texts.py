"""What is previewed is what the provider gets, byte by byte."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from sandbox.simulator.control import Simulator
from shared.broker.base import Session
from tests.support.api import Api, running
from tests.support.books import Books
from tests.support.dispatching import Dispatcher, publish, settled
from tests.support.gateway import ACCEPTED, Gateway, gateway
from tests.support.waiting import wait_until

CLIENTS = 1_000
TEXTS = [
    'Здравствуйте, {{ name | default: "друг" }}! У вас {{ points }} баллов. {{ note }}',
    "{% if vip %}{{ name | upcase }}{% else %}{{ name }}{% endif %}: {{ points | plus: 1 }} {{ note | default: '-' }}",
]
SIGNS = "ab яЁ\n\t\"\\/{}%|'\u202e\u2066\u0301\u200b👋é\u2028<&>"


@pytest.fixture
def provider() -> Iterator[Gateway]:
    with gateway(lambda _asked: ACCEPTED) as provider:
        yield provider


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "liquid"])
def test_what_is_previewed_is_what_the_provider_gets(
    books: Books, session: Session, provider: Gateway, database_url: str, engine: Engine, text: str
) -> None:
    """A thousand people of whom this and that is known; with some that makes no text, and they get none."""
    api, chance = Api(engine), random.Random(text)
    books.clients(CLIENTS)
    known = [_known(chance) for _ in range(CLIENTS)]
    for at in range(0, CLIENTS, 500):
        some = known[at : at + 500]
        books.run(
            """update clients set attributes = one.known from unnest(cast(:known as jsonb[])) with ordinality as one
               (known, number) where id = number + :before""",
            known=[json.dumps(one) for one in some], before=at,
        )  # fmt: skip
    mailing_id = api.make("/mailings/", running(text=text))["id"]
    books.launch(mailing_id)
    with ThreadPoolExecutor(2) as pool:
        path = f"/mailings/{mailing_id}/preview/?client_id="
        answers = pool.map(lambda client_id: api.get(f"{path}{client_id}"), range(1, CLIENTS + 1))
        shown = {answer["client_id"]: answer for answer in answers}
    books.prove(mailing_id)
    ids = {row.id: row.client_id for row in books.run("select id, client_id from messages")}
    sent = sum(one["text"] is not None for one in shown.values())
    assert 0 < sent < CLIENTS
    simulator = cast("Simulator", SimpleNamespace(url=provider.url))
    with Dispatcher(database_url, simulator):
        publish(session, mailing_id, list(ids))
        wait_until(settled(books, mailing_id, sent=sent, skipped=CLIENTS - sent))
    told = {client_id: one["text"] for client_id, one in shown.items() if one["text"] is not None}
    got = {ids[message_id]: texts for message_id, texts in provider.texts().items()}
    assert got == {client_id: [one] for client_id, one in told.items()}
    skipped = books.run("select client_id, error from messages where status = 'skipped'")
    assert dict(map(tuple, skipped)) == {
        client_id: one["skipped_because"] for client_id, one in shown.items() if one["text"] is None
    }
    client_id = next(iter(told))
    books.run("update clients set attributes = '{}'")
    after = api.get(f"{path}{client_id}")
    assert (after["text"], after["is_fixed"], after["in_audience"]) == (told[client_id], True, True)


def _known(chance: random.Random) -> dict[str, Any]:
    def word(most: int) -> str:
        return "x" + "".join(chance.choices(SIGNS, k=chance.randrange(most)))

    values: dict[str, Any] = {
        "name": word(20),
        "points": chance.choice([0, 7, -3, 2**53 - 1, 0.1, 12.50, 1e-7, 10, 10]),
        "vip": chance.random() < 0.5,
        "note": word(1000) if chance.random() < 0.1 else word(9),
    }
    return {name: value for name, value in values.items() if chance.random() > 0.08}
