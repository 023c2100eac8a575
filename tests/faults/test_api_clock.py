"""An API whose clock is wrong by half a minute, around the ends of mailings: what it says is what happens."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from notification_client import ApiClient, ApiError
from sandbox import deployment
from sandbox.processes import free_port
from sandbox.simulator.control import Received
from shared.domain.message import MessageState
from tests.e2e.conftest import place, running
from tests.e2e.system import System
from tests.faults.flight import Flight, steady
from tests.support.waiting import patience
from tests.support.wall_clock import WallClock

CALLS = 16
PER_SECOND = 40
WRONG_BY = 30  # seconds
SECOND = timedelta(seconds=1)


def on_its_way() -> float:
    """Seconds that a message may be in a dispatcher's hands when its mailing is stopped: half a second, and its call.
    Where nothing stops them, they go on for nearly five."""
    return patience(1, at_most=4)


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    with place(request, "table") as where, running(where, dispatchers=1, DISPATCH_CONCURRENCY=str(CALLS)) as system:
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        yield system


@pytest.fixture(scope="module")
def ahead(system: System) -> Iterator[ApiClient]:
    with _another_api(system, WRONG_BY) as api:
        yield api


@pytest.fixture(scope="module")
def behind(system: System) -> Iterator[ApiClient]:
    with _another_api(system, -WRONG_BY) as api:
        yield api


@pytest.mark.parametrize("action", ["cancel", "pause", "delete_mailing"])
def test_half_a_minute_ahead_a_mailing_near_its_end_can_be_stopped(
    system: System, ahead: ApiClient, action: str
) -> None:
    """By the clock of that API it has ended long ago."""
    flight = Flight(system, 200, lasts=8)
    flight.until_under_way(0.05)
    getattr(ahead, action)(flight.mailing_id)
    stopped_at = datetime.now(UTC)
    if action == "pause":
        assert ahead.detail(flight.mailing_id)["state"] == "paused"
        assert ahead.mailing(flight.mailing_id)["state"] == "paused"
        assert {one["state"] for one in ahead.statistics()["mailings"]} == {"paused"}
        ahead.cancel(flight.mailing_id)  # so that nobody waits for the end
    rows = _until_over(system, flight)
    received = system.simulator.received()
    assert set(rows.values()) == {MessageState.SENT, MessageState.CANCELLED}
    assert received.keys() == {message_id for message_id, status in rows.items() if status == MessageState.SENT}
    assert _last(received) < stopped_at.timestamp() + on_its_way()
    if action != "delete_mailing":
        ahead.delete_mailing(flight.mailing_id)  # out of the lists of the tests that follow


def test_half_a_minute_ahead_the_end_of_a_running_mailing_may_come_nearer(system: System, ahead: ApiClient) -> None:
    flight = Flight(system, 200, lasts=20, api=ahead)
    flight.until_under_way(0.05)
    assert ahead.mailing(flight.mailing_id)["state"] == "running"
    ends_at = datetime.now(UTC) + 2 * SECOND
    assert ahead.change_mailing(flight.mailing_id, ends_at=ends_at)["state"] == "running"
    rows = _until_over(system, flight)
    assert set(rows.values()) == {MessageState.SENT, MessageState.EXPIRED}
    assert _last(system.simulator.received()) < ends_at.timestamp() + on_its_way()
    ahead.delete_mailing(flight.mailing_id)


def test_half_a_minute_behind_what_is_over_is_over(system: System, behind: ApiClient) -> None:
    """By the clock of that API it has not even begun."""
    flight = Flight(system, 200, lasts=2, api=behind)
    ends_at = datetime.fromisoformat(behind.mailing(flight.mailing_id)["ends_at"])
    assert behind.mailing(flight.mailing_id)["state"] == "running"
    system.until(lambda: datetime.now(UTC) > ends_at, "the end has passed")
    assert behind.mailing(flight.mailing_id)["state"] == "finished"
    assert behind.detail(flight.mailing_id)["state"] == "finished"
    for change in (
        lambda: behind.cancel(flight.mailing_id),
        lambda: behind.pause(flight.mailing_id),
        lambda: behind.change_mailing(flight.mailing_id, ends_at=ends_at + 20 * SECOND),
    ):
        with pytest.raises(ApiError) as refused:
            change()
        assert refused.value.status == 409
    rows = _until_over(system, flight)
    assert set(rows.values()) == {MessageState.SENT, MessageState.EXPIRED}
    with pytest.raises(ApiError) as refused:
        behind.create_mailing("Too late", ends_at - 60 * SECOND, ends_at)
    assert refused.value.status == 422
    behind.delete_mailing(flight.mailing_id)
    assert set(_rows(system, flight.mailing_id).values()) == {MessageState.SENT, MessageState.EXPIRED}


@contextmanager
def _another_api(system: System, seconds: float) -> Iterator[ApiClient]:
    """Beside that of the system, with a clock that is wrong."""
    with WallClock() as clock, clock.processes(print) as processes:
        clock.step(timedelta(seconds=seconds))
        with ApiClient(deployment.start_api(processes, {**system.env, "API_PORT": str(free_port())})) as api:
            yield api


def _until_over(system: System, flight: Flight) -> dict[int, str]:
    """The states of its messages, once all are final. From the database: a mailing that was deleted is in no answer."""

    def look() -> dict[int, str]:
        rows = _rows(system, flight.mailing_id)
        return {} if set(rows.values()) & {"pending", "sending", "retrying"} else rows

    rows = system.until(look, "every message has its final state", within=patience(30))
    assert len(rows) == flight.clients
    return rows


def _rows(system: System, mailing_id: int) -> dict[int, str]:
    with closing(psycopg2.connect(system.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select id, status from messages where mailing_id = %s", [mailing_id])
        return dict(cursor.fetchall())


def _last(received: dict[int, Received]) -> float:
    return max(one.last_at for one in received.values())
