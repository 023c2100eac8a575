"""What only a database can do to us."""

import traceback

import pytest
from sqlalchemy import Engine, text

from shared.broker.table import TableBroker
from shared.broker.topology import DISPATCH
from shared.domain.errors import BrokerUnavailable
from tests.contract.conftest import LADDER, UnderTest, bodies, receive
from tests.support.superuser import superuser


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_a_database_that_is_away(host: str) -> None:
    url = f"postgresql://user:s3cret@{host}/none"
    with pytest.raises(BrokerUnavailable) as caught:
        TableBroker(url, LADDER).connect()
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_database_without_the_table(database_url: str, engine: Engine) -> None:
    session = TableBroker(database_url, LADDER).connect()
    with superuser(engine) as connection:
        connection.execute(text("drop table broker_jobs"))
    with pytest.raises(BrokerUnavailable, match="broker_jobs"):
        session.publish(DISPATCH, [b"job"])
    session.close()


def test_a_job_that_somebody_else_has_locked_holds_nobody_up(table_under_test: UnderTest, engine: Engine) -> None:
    consumer = table_under_test.consumer(DISPATCH)
    with engine.connect() as connection:
        table_under_test.connect().publish(DISPATCH, [b"locked", b"free"])
        connection.execute(text("select from broker_jobs order by id limit 1 for update"))
        assert bodies(receive(consumer, 1)) == [b"free"]
        assert consumer.receive(0.3) == []
    assert bodies(receive(consumer, 1)) == [b"locked"]


def test_jobs_of_a_connection_that_is_gone_come_again_at_once(table_under_test: UnderTest, database_url: str) -> None:
    """Not when the lease ends, which a living consumer keeps."""
    patient = TableBroker(database_url, LADDER, lease=3600)
    with patient.connect() as living, patient.connect() as doomed, patient.connect() as third:
        living.subscribe([DISPATCH], 1)
        doomed.subscribe([DISPATCH], 1)
        doomed.publish(DISPATCH, [b"kept", b"left behind"])
        assert bodies(receive(living, 1)) == [b"kept"]
        assert bodies(receive(doomed, 1)) == [b"left behind"]
        third.subscribe([DISPATCH], 10)
        assert third.receive(2.5) == []
        _cut_off(doomed)
        assert bodies(receive(third, 1)) == [b"left behind"]
        assert third.receive(2.5) == []


def _cut_off(session: object) -> None:
    """Its connection ends without a farewell."""
    session._connection.close()  # type: ignore[attr-defined]


def test_it_remembers_nothing_that_a_restore_would_take_back(table_under_test: UnderTest) -> None:
    session = table_under_test.connect()
    session.remember(7)
    assert session.recall() == 0
