"""Receipts that come one by one, many at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, event

from api_service.tracking.taking import Taking
from shared.domain.receipt import Receipt, ReceiptState
from tests.integration.tracking.test_receipts import Sending
from tests.support.api import Api
from tests.support.books import Books
from tests.support.receipt_sender import gateways

SENDERS, ROUNDS = 8, 40


@pytest.fixture
def api(engine: Engine) -> Any:
    api = Api(engine, providers=gateways())
    yield api
    Books(engine).check()


def test_most_are_written_together(api: Api) -> None:
    """Nearly each of them had a transaction of its own: whoever had just written had the next turn as well."""
    sending = Sending(api, Books(api.engine), SENDERS * ROUNDS)
    sending.end(sending.ids)
    taking: Taking = api.app.extensions["taking"]
    written: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "insert into receipts " in statement:
            written.append(statement)

    def send(first: int) -> list[int]:
        ids = sending.ids[first::SENDERS]
        return [taking.take("gate", [Receipt(ReceiptState.DELIVERED, message_id)]) for message_id in ids]

    event.listen(api.engine, "before_cursor_execute", note)
    with ThreadPoolExecutor(SENDERS) as pool:
        assert sum(sum(unknown) for unknown in pool.map(send, range(SENDERS))) == 0
    assert len(written) < len(sending.ids) / 4
