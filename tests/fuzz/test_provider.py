"""The provider's answers: whatever comes over the wire, the sender survives it and never takes it for more than it is.

The sender and libcurl are the real ones; what an answer means is decided by `reader`, which knows nothing of them.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from threading import Event

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from dispatcher_service.sending.attempt import Result
from shared.domain.retry import OutcomeKind, RetryPolicy
from tests.fuzz import reader
from tests.fuzz.answers import OK, Beginning, Ending, Saying, sayings
from tests.fuzz.bounds import SEED, cases
from tests.support.sending import Sending
from tests.support.wire import Connection, Wire

pytestmark = pytest.mark.timeout(3600)  # they end by their counts


class Provider:
    """Says to each message what it has been told to say."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._saying: dict[int, Saying] = {}
        self._said: dict[int, Event] = {}
        self.wire = Wire(self._talk)

    def answer(self, sending: Sending, *sayings: Saying) -> Sequence[Result]:
        """What became of attempts that were answered like this."""
        ids = [next(self._ids) for _ in sayings]
        for message_id, saying in zip(ids, sayings, strict=True):
            self._saying[message_id], self._said[message_id] = saying, Event()
        results = sending.send(ids)
        assert sorted(result.attempt.message.id for result in results) == ids
        assert max(self.wire.peeked[message_id] for message_id in ids) <= 1
        return results

    def wait(self, result: Result) -> None:
        """Returns when all that is said to this attempt has been said."""
        assert self._said[result.attempt.message.id].wait(20)

    def _talk(self, connection: Connection) -> None:
        while message_id := connection.peek():
            try:
                if not self._carry_on(connection, self._saying[message_id]):
                    return
            finally:
                self._said[message_id].set()

    def _carry_on(self, connection: Connection, saying: Saying) -> bool:
        """Whether the connection is open after it."""
        if saying.beginning is Beginning.REQUEST:
            connection.request()
        for part in saying.parts:
            connection.send(part)
        if saying.beginning is Beginning.PEEK:
            connection.request()
        answer = reader.read(saying.stream)
        if saying.ending is Ending.KEEP and saying.is_certain and answer is not None and answer.rest is not None:
            return True
        if saying.ending is Ending.RESET:
            connection.reset()
        connection.close()
        return False


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    with provider.wire:
        yield provider


@pytest.fixture(scope="module")
def sending(provider: Provider) -> Iterator[Sending]:
    with Sending(provider.wire.url, concurrency=1) as sending:
        yield sending


def plainly(stream: bytes, beginning: Beginning = Beginning.REQUEST, ending: Ending = Ending.CLOSE) -> Saying:
    return Saying((stream,), beginning, ending)


ACCEPTANCE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(OK), OK)


@seed(SEED)
@settings(max_examples=cases(500), suppress_health_check=list(HealthCheck))
@given(saying=sayings)
@example(saying=plainly(ACCEPTANCE))
@example(saying=plainly(ACCEPTANCE, ending=Ending.KEEP))
def test_an_answer_is_taken_for_what_it_says(provider: Provider, sending: Sending, saying: Saying) -> None:
    (result,) = provider.answer(sending, saying)
    provider.wait(result)  # or else it might end up with the next one
    assert result.outcome is not None
    accepted = result.outcome.kind is OutcomeKind.ACCEPTED
    least, most = meaning(saying)
    assert least <= accepted <= most, result.outcome
    assert 0 <= result.outcome.retry_after < math.inf
    result.verdict(RetryPolicy())


def meaning(saying: Saying) -> tuple[bool, bool]:
    """Whether it must, and whether it may, be taken for an acceptance."""
    by_the_letter, by_the_spirit = reader.read(saying.stream), reader.read(saying.stream, reader.SPIRIT)
    if by_the_letter is None:
        return False, by_the_spirit is not None and by_the_spirit.accepts
    return by_the_letter.accepts and saying.is_certain, by_the_letter.accepts


@seed(SEED)
@settings(max_examples=cases(10), suppress_health_check=list(HealthCheck))
@given(many=st.lists(sayings, min_size=50, max_size=50))
def test_every_attempt_comes_back_once_whatever_the_others_meet(provider: Provider, many: list[Saying]) -> None:
    with Sending(provider.wire.url, concurrency=10) as sending:
        results = provider.answer(sending, *many)
    assert all(result.outcome is not None for result in results)
