"""A provider that gives names of its own to messages: whatever these are, what it has taken is sent."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from dispatcher_service.sending.dialect import Dialect
from sandbox.simulator.control import Simulator
from shared.broker.base import Session
from shared.domain.profile import receipts
from shared.domain.profile.provider import Limits
from shared.domain.profile.rules import Spot
from shared.providers.loading import seed
from tests.support.books import Books
from tests.support.dispatching import Dispatcher, publish, settled
from tests.support.gateway import Asked, Said, gateway
from tests.support.waiting import wait_until

NAMES = ["a-1", "a\0b", "\ud800", "\u202e"]
RECEIPTS = {
    "reference": "sid",
    "status": "status",
    "values": {"DELIVERED": "delivered"},
    "authentication": {"kind": "path", "secret": "{receipts}"},
}


def test_a_name_that_cannot_be_kept_stops_nothing(books: Books, session: Session, database_url: str) -> None:
    def answer(asked: Asked) -> Said:
        said = {"code": 0, "message": "OK", "sid": NAMES[json.loads(asked.body)["id"] % len(NAMES)]}
        return Said(200, json.dumps(said).encode(), "application/json")

    mailing_id, ids = books.launched(len(NAMES))
    with gateway(answer) as here:
        provider = seed(here.url, "", Limits())
        reading = replace(provider.reading, reference=Spot(("sid",)))
        named = replace(provider, reading=reading, receipts=receipts.parse(RECEIPTS, ["receipts"]))
        with Dispatcher(database_url, cast("Simulator", SimpleNamespace(url=here.url)), dialects=[Dialect(named, {})]):
            publish(session, mailing_id, ids)
            wait_until(settled(books, mailing_id, sent=len(NAMES)))
    kept = books.run("select reference from message_references")
    assert [row.reference for row in kept] == ["a-1"]
