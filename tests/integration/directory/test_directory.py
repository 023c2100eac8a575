"""Clients go in by COPY as they are; messages come out by state."""

from itertools import chain

import pytest
from psycopg2.errors import UniqueViolation
from sqlalchemy import Engine, text

from sandbox import directory
from sandbox.numbering import clients
from shared.domain.message import MessageState


def test_clients_go_in_as_they_are(engine: Engine, database_url: str) -> None:
    made = list(clients(3000))
    assert directory.fill(database_url, iter(made)) == 3000
    with engine.connect() as connection:
        rows = connection.execute(text("select phone::text, operator_code, timezone, tag from clients order by id"))
        assert [tuple(row) for row in rows] == [tuple(client) for client in made]


def test_nobody_at_all_is_fine(database_url: str) -> None:
    assert directory.fill(database_url, []) == 0


def test_all_go_in_or_none(engine: Engine, database_url: str) -> None:
    with pytest.raises(UniqueViolation):
        directory.fill(database_url, chain(clients(2000), clients(1)))
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from clients")) == 0


def test_messages_come_out_by_state(engine: Engine, database_url: str) -> None:
    insert = text(
        "insert into messages (id, part, mailing_id, client_id, status, due_at) values"
        " (1, 1, 7, 1, 'sent', null), (2, 1, 7, 2, 'retrying', now()), (3, 1, 7, 3, 'sent', null),"
        " (4, 1, 8, 1, 'failed', null)"
    )
    with engine.begin() as connection:
        connection.execute(insert)
    found = directory.messages(database_url, 7)
    assert {state: ids for state, ids in found.items() if ids} == {
        MessageState.SENT: {1, 3},
        MessageState.RETRYING: {2},
    }
    assert set(found) == set(MessageState)
