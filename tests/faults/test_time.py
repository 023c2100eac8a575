"""What the clocks show: edges to the second, changes of the clock, and clocks that are wrong.

The whole system, with its database, lives by a clock that is set by hand. What a window means in every zone is held in
tests/unit/domain/test_window.py.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import requests

from sandbox import deployment
from sandbox.processes import free_port
from sandbox.simulator.faults import Faults
from shared.domain.message import MessageState
from tests.e2e.conftest import StartSystem, running
from tests.e2e.system import Place, System
from tests.faults.flight import Flight, steady, watch_final_states
from tests.support.database_faults import Postgres, locked
from tests.support.waiting import patience
from tests.support.wall_clock import WallClock

CALLS = 32
PER_SECOND = 160
SECOND = timedelta(seconds=1)


def at_most_late() -> float:
    """Seconds from an opening to the first call."""
    return patience(3, at_most=15)


def on_its_way() -> float:
    """Seconds that a request which was begun in time may take to be seen by the provider."""
    return patience(0.5, at_most=1.5)


# ---------------------------------------------------------------- the database's clock rules


@pytest.mark.parametrize("broker", ["table"], indirect=True)
def test_dispatchers_whose_own_clocks_are_wrong(start_system: StartSystem, broker: str) -> None:
    """One is an hour ahead, the other is set back by two in mid-flight: start, end and window are kept all the same."""
    system = start_system(broker, dispatchers=0, DISPATCH_CONCURRENCY=str(CALLS))
    watch_final_states(system.database_url)
    system.simulator.set_faults(steady(PER_SECOND, CALLS))
    now = datetime.now(UTC)
    window = tuple(f"{now + delta:%H:%M}" for delta in (timedelta(minutes=-30), timedelta(minutes=30)))
    with (
        WallClock() as ahead,
        WallClock() as jumping,
        ahead.processes(print) as one_with_it,
        jumping.processes(print) as other_with_it,
    ):
        ahead.step(timedelta(hours=1))
        ports = {free_port(): processes for processes in (one_with_it, other_with_it)}
        for port, processes in ports.items():
            deployment.start_dispatcher(processes, {**system.env, "METRICS_PORT": str(port)})
        lasts = patience(4, at_most=20)
        clients = int(500 * lasts)  # more than can be sent
        flight = Flight(system, clients, starts=2, lasts=lasts, send_window=window)
        mailing = system.api.mailing(flight.mailing_id)
        starts_at, ends_at = (datetime.fromisoformat(mailing[name]) for name in ("starts_at", "ends_at"))
        flight.until_under_way(0.05)
        jumping.step(timedelta(hours=-2))
        landed = flight.land("time: dispatchers' clocks wrong")
        for port, processes in ports.items():
            metrics = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
            assert 'dispatcher_attempts_total{outcome="accepted",provider="seed"}' in metrics, (
                "one of them sent nothing"
            )
            assert processes.stop("dispatcher") == 0
    sent = landed.in_state(MessageState.SENT)
    assert landed.in_state(MessageState.EXPIRED) == landed.messages.keys() - sent
    assert 0 < len(sent) < clients
    assert not landed.repeated
    first = min(one.first_at for one in landed.received.values())
    last = max(one.last_at for one in landed.received.values())
    assert starts_at.timestamp() <= first < starts_at.timestamp() + at_most_late()
    assert last < ends_at.timestamp() + on_its_way()


# ---------------------------------------------------------------- all clocks show what we like


@pytest.fixture(scope="module")
def clock() -> Iterator[WallClock]:
    with WallClock() as clock:
        clock.set(datetime(2027, 1, 1, tzinfo=UTC))
        yield clock


@pytest.fixture(scope="module")
def timed(clock: WallClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that lives by that clock, the provider included."""
    with Postgres(clock) as postgres:
        url, _ = postgres.create("timed")
        place = Place(url, None, tmp_path_factory.mktemp("system"))
        with running(place, dispatchers=2, clock=clock, DISPATCH_CONCURRENCY=str(CALLS)) as system:
            watch_final_states(url)
            yield system


CHANGES = [
    ("Etc/GMT+12", ("00:00", "01:00"), "2027-01-10T12:00Z", True),
    ("Pacific/Kiritimati", ("00:00", "01:00"), "2027-01-11T10:00Z", True),
    # The clock goes from 02:00 to 03:00: a window that begins in the gap opens at its end.
    ("Europe/Berlin", ("02:30", "04:00"), "2027-03-28T01:00Z", True),
    ("Europe/Berlin", ("21:00", "02:30"), "2027-03-28T01:00Z", False),
    # The clock goes from 03:00 back to 02:00: a window opens once more, and closes once more.
    ("Europe/Berlin", ("02:00", "02:30"), "2027-10-31T01:00Z", True),
    ("Europe/Berlin", ("02:00", "02:30"), "2027-10-31T01:30Z", False),
    ("Pacific/Kiritimati", ("09:00", "21:00"), "2027-11-01T07:00Z", False),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "window", "moment", "opens"), CHANGES)
def test_the_edge_of_a_window(
    timed: System, clock: WallClock, zone: str, window: tuple[str, str], moment: str, opens: bool
) -> None:
    """Nothing arrives while it is closed, and at its opening everything goes out."""
    change = datetime.fromisoformat(moment)
    timed.simulator.set_faults(Faults() if opens else steady(40, CALLS))
    before = patience(2.5, at_most=15)
    clients = int(80 * before)  # so many can be sent meanwhile where nothing else is done
    clock.set(change - before * SECOND)
    flight = Flight(timed, clients, timezone=zone, lasts=20 * 3600, send_window=window)
    if opens:
        landed = flight.land(f"time: {zone} opens")
        first = min(one.first_at for one in landed.received.values())
        assert landed.in_state(MessageState.SENT) == landed.messages.keys()
        assert change.timestamp() <= first < change.timestamp() + at_most_late()
        return
    timed.until(lambda: clock.now() > change + 2 * SECOND, "the window is closed")
    received = timed.received(flight.mailing_id)
    assert 0 < len(received) < clients
    assert max(one.last_at for one in received.values()) < change.timestamp() + on_its_way()
    figures = timed.until_figures(
        flight.mailing_id, lambda figures: figures["sent"] + figures["pending"] == clients, "the rest waits"
    )
    assert figures["sent"] == len(received)
    timed.api.cancel(flight.mailing_id)
    flight.land(f"time: {zone} closes")


@pytest.mark.parametrize("steps", [(-3, -3, -3), (3, 3, 3), (40,), (-40, 40), (600,)], ids=str)
def test_all_clocks_step(timed: System, clock: WallClock, steps: tuple[int, ...]) -> None:
    """As when a machine's time is corrected, or a standby takes over whose clock was wrong: what waits, waits so much
    longer; nobody gets a message twice. Calls take so long that many are open at each step."""
    timed.simulator.set_faults(Faults(latency_ms=1000))
    flight = Flight(timed, 400, lasts=3600)
    for number, step in enumerate(steps, start=1):
        flight.until_under_way(0.2 * number)
        clock.step(step * SECOND)
    landed = flight.land(f"time: the clocks step by {steps} s")
    assert timed.simulator.summary().overlapping == 0
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated
    assert {message["attempts"] for message in landed.messages.values()} == {1}


def test_an_answer_keeps_its_time(timed: System, clock: WallClock) -> None:
    """The database is out of reach when the answers come, and until the mailing is over and another quarter of an hour
    has begun."""
    clock.set(datetime(2028, 1, 1, 12, 5, tzinfo=UTC))
    timed.simulator.set_faults(Faults(latency_ms=1000))
    flight = Flight(timed, CALLS, lasts=300)
    timed.until(lambda: timed.simulator.summary().received == CALLS, "all calls are open")
    with locked(timed.database_url, "messages"):
        timed.until(lambda: timed.simulator.summary().accepted == CALLS, "all are answered")
        answered_by = clock.now() + SECOND
        clock.set(datetime(2028, 1, 1, 12, 31, tzinfo=UTC))
    landed = flight.land("time: written after the end")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert max(message["sent_at"] for message in landed.messages.values()) < answered_by.isoformat()
    assert landed.figures["first_sent_at"] <= landed.figures["last_sent_at"] < answered_by.isoformat()
    with closing(psycopg2.connect(timed.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select quarter, name, sum(count) from tallies where mailing_id = %s group by 1, 2",
                       [flight.mailing_id])  # fmt: skip
        assert cursor.fetchall() == [(datetime(2028, 1, 1, 12, tzinfo=UTC), "sent", CALLS)]
