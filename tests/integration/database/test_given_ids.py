"""A database is asked how far its ids are, and may be lost at any moment of that."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from shared.database.engine import make_engine
from shared.database.ids import GivenIds, IdsBehind, last_given, why_behind
from tests.support.superuser import superuser

SENTENCE = (
    "The database would give ids of messages again, as after a restore from a backup: it is at 7, and 8 was given."
)


@pytest.fixture
def asking(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, "ids", pool_size=1)
    with superuser(engine) as connection:
        connection.execute(text("select setval('message_ids', 7)"))
    yield engine
    engine.dispose()


def knowing(highest: int) -> GivenIds:
    ids = GivenIds()
    ids.learn(highest)
    return ids


def test_a_database_that_is_behind(asking: Engine) -> None:
    assert (why_behind(asking, knowing(8)) or "").startswith(SENTENCE)


@pytest.mark.parametrize("highest", [0, 6, 7])
def test_a_database_that_is_not_behind(asking: Engine, highest: int) -> None:
    assert why_behind(asking, knowing(highest)) is None


def test_no_connection_is_had_to_a_database_that_is_behind(asking: Engine) -> None:
    ids = knowing(7)
    asking.dispose()
    event.listen(asking, "connect", ids.check)
    with asking.connect() as connection:
        assert last_given(connection) == 7
    asking.dispose()
    ids.learn(8)
    with pytest.raises(OperationalError, match="it is at 7, and 8 was given") as caught, asking.connect():
        pass
    assert isinstance(caught.value.orig, IdsBehind)


@pytest.mark.parametrize("moment", ["connect", "before_cursor_execute", "after_cursor_execute"])
def test_a_session_that_is_ended_meanwhile_says_nothing(
    engine: Engine, asking: Engine, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As a restart of the server ends all of them: that is no error of ours, and nobody's thread ends with it."""

    def end(connection: Any, *_: object) -> None:
        own = connection.connection.dbapi_connection if isinstance(connection, Connection) else connection
        with superuser(engine) as admin:
            admin.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": own.get_backend_pid()})

    asking.dispose()
    event.listen(asking, moment, end)
    assert why_behind(asking, knowing(8)) is None
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_a_database_that_is_away_says_nothing(asking: Engine) -> None:
    nowhere = make_engine(asking.url.set(host="127.0.0.1", port=1, query={}).render_as_string(False), "ids")
    assert why_behind(nowhere, knowing(8)) is None
