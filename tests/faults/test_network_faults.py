"""The network between the service and the database, the broker, the provider: cut, deaf, slow, in crumbs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import make_url

from shared.database.engine import CONNECT_TIMEOUT, MARGIN, STATEMENT_TIMEOUT
from shared.domain.message import AMBIGUOUS_ERRORS, Error, MessageState
from tests.e2e.conftest import place, running
from tests.e2e.system import System
from tests.faults.flight import Flight, Landed, User, lasting, steady, watch_final_states
from tests.support.tcp_proxy import TcpProxy, by_way_of, socket_of

CLIENTS = 900
CALLS = 32
PER_SECOND = 120
"""A dispatcher's; two of them take four seconds for all."""

LATENCY = 2.0
PROVIDER_TIMEOUT = 2.0


@dataclass(frozen=True)
class Lines:
    """A system, and what it has between itself and the others."""

    system: System
    database: TcpProxy
    broker: TcpProxy
    provider: TcpProxy


@pytest.fixture(scope="module")
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    with ExitStack() as stack:
        where = stack.enter_context(place(request, "rabbitmq"))
        database, broker, provider = (stack.enter_context(TcpProxy()) for _ in range(3))
        database.target = socket_of(where.database_url)
        broker_url = make_url(where.broker_url or "")
        broker.target = ("127.0.0.1", broker_url.port or 0)
        system = stack.enter_context(
            running(
                replace(where, broker_url=by_way_of(broker, where.broker_url or "")),
                DATABASE_URL=by_way_of(database, where.database_url),
                PROVIDER_URL=f"http://127.0.0.1:{provider.port}",
                PROVIDER_TIMEOUT=str(PROVIDER_TIMEOUT),
                DISPATCH_CONCURRENCY=str(CALLS),
            )
        )
        provider.target = ("127.0.0.1", make_url(system.simulator.url).port or 0)
        watch_final_states(where.database_url)
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        yield Lines(system, database, broker, provider)


def cut(proxy: TcpProxy) -> None:
    for _ in range(4):
        proxy.cut()
        with lasting(0.3):
            pass


def refused(proxy: TcpProxy) -> None:
    with proxy.refusing(), lasting(2):
        pass


def silent(proxy: TcpProxy) -> None:
    """For longer than a call may take."""
    with proxy.silent(), lasting(2 * PROVIDER_TIMEOUT):
        pass


def silent_for_long(proxy: TcpProxy) -> None:
    """For longer than anybody waits for an answer."""
    with proxy.silent(), lasting(STATEMENT_TIMEOUT + MARGIN + 1):
        pass


def in_crumbs(proxy: TcpProxy) -> None:
    with proxy.trickling(), lasting(2):
        pass


def late(proxy: TcpProxy) -> None:
    with proxy.late(LATENCY / 2), lasting(3):  # there, and back
        pass


Harm = Callable[[TcpProxy], None]


def fly(lines: Lines, link: str, harm: Harm) -> tuple[User, Landed]:
    flight = Flight(lines.system, CLIENTS)
    with flight.user() as user:
        flight.until_under_way()
        harm(getattr(lines, link))
        flight.recover()
    landed = flight.land(f"{link} link: {harm.__name__}")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    return user, landed


@pytest.mark.parametrize("harm", [cut, refused, silent_for_long, in_crumbs, late])
def test_the_line_to_the_database(lines: Lines, harm: Harm) -> None:
    user, landed = fly(lines, "database", harm)
    if harm in (cut, refused):
        assert not landed.repeated
        user.assert_told_to_come_back()
    elif harm is silent_for_long:
        user.assert_told_to_come_back(within=STATEMENT_TIMEOUT + MARGIN + CONNECT_TIMEOUT + 2)
    else:
        assert {answer.is_good for answer in user.answers} == {True}
        assert not landed.repeated


@pytest.mark.parametrize("harm", [cut, refused, silent_for_long, in_crumbs, late])
def test_the_line_to_the_broker(lines: Lines, harm: Harm) -> None:
    """The users of the API do not notice, and nobody gets a message twice."""
    user, landed = fly(lines, "broker", harm)
    user.assert_served()
    assert not landed.repeated


@pytest.mark.parametrize("harm", [cut, refused, silent, in_crumbs, late])
def test_the_line_to_the_provider(lines: Lines, harm: Harm) -> None:
    """What comes to it twice are answers that it gave and that got lost; every one is on the message's account."""
    user, landed = fly(lines, "provider", harm)
    user.assert_served()
    errors = landed.figures["errors"]
    assert set(errors) <= AMBIGUOUS_ERRORS - {Error.LEASE_LOST} | {Error.UNREACHABLE}
    assert len(landed.repeated) <= sum(errors.values())
    if harm is in_crumbs:
        assert not errors
