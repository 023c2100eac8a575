"""The built-in provider: what the last four digits of a phone say, and everything that is offered comes back once."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from dispatcher_service.sending.attempt import Attempt, Result
from dispatcher_service.sending.blame import Blame
from dispatcher_service.sending.built_in import BuiltIn
from dispatcher_service.sending.played import SLOW, Played, play
from shared.clock import ticks
from shared.domain.message import Error
from shared.domain.retry import OutcomeKind
from tests.support.sending import FAR, attempt
from tests.support.waiting import wait_until

KINDS = {
    "79120000000": (OutcomeKind.ACCEPTED, None, 0.0),
    "79120000001": (OutcomeKind.REFUSED, Error.REJECTED, 0.0),
    "79120000002": (OutcomeKind.ACCEPTED, None, SLOW),
    "79120000003": (OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST, 0.0),
    "79120000004": (OutcomeKind.TRANSIENT, Error.SERVER_ERROR, 0.0),
    "79120000005": (OutcomeKind.ACCEPTED, None, 0.0),
    "79120000006": (OutcomeKind.ACCEPTED, None, 0.0),
    "79120001234": (OutcomeKind.ACCEPTED, None, 0.0),
    "79120010001": (OutcomeKind.REFUSED, Error.REJECTED, 0.0),
}


RECEIPTS = {"0005": "undelivered", "0006": None}


@pytest.mark.parametrize("phone", KINDS)
def test_the_last_four_digits_say_it(phone: str) -> None:
    outcome, seconds, receipt = play(int(phone))
    assert (outcome.kind, outcome.error, seconds) == KINDS[phone]
    assert (receipt and receipt.state) == RECEIPTS.get(
        phone[-4:], "delivered" if seconds or not outcome.error else None
    )


def to(phone: int, message_id: int = 1, *, start_by: float = FAR, lease: float = FAR) -> Attempt:
    one = attempt(message_id, start_by=start_by, lease=lease)
    return one._replace(message=one.message._replace(phone=phone, test=True))


class Playing:
    def __init__(self) -> None:
        self.results: list[Result] = []
        self.provider = BuiltIn(self._take)

    def _take(self, results: Sequence[Result]) -> None:
        self.results.extend(results)

    def send(self, *attempts: Attempt) -> dict[int, Result]:
        """The results of these, by message."""
        before = len(self.results)
        self.provider.offer(attempts)
        wait_until(lambda: len(self.results) >= before + len(attempts))
        return {result.attempt.message.id: result for result in self.results[before:]}


@pytest.fixture
def playing() -> Iterator[Playing]:
    with started() as playing:
        yield playing


@contextmanager
def started() -> Iterator[Playing]:
    playing = Playing()
    thread = threading.Thread(target=playing.provider.run, daemon=True)
    thread.start()
    yield playing
    playing.provider.stop(within=0)
    thread.join(10)
    assert not thread.is_alive()
    assert playing.provider.join(0)


def test_a_message_that_it_fails_with_pays_for_it_whatever_it_does_with_others(playing: Playing) -> None:
    """It is never down, however many it fails with."""
    failing = [to(79120000004, message_id) for message_id in range(1, 201)]
    results = playing.send(*failing).values()
    assert {result.blame for result in results} == {Blame.MESSAGE}
    assert {result.outcome.error for result in results if result.outcome} == {Error.SERVER_ERROR}
    [accepted] = playing.send(to(79120000000)).values()
    assert accepted.outcome is not None
    assert accepted.outcome.kind is OutcomeKind.ACCEPTED


def test_slow_calls_take_nobodys_place(playing: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher_service.sending.built_in.play", lambda phone: played(phone, seconds=0.5))
    since = ticks()
    playing.provider.offer([to(79120000002, message_id) for message_id in range(1, 5_001)])
    quick = [to(79120000000, message_id) for message_id in range(5_001, 5_011)]
    playing.provider.offer(quick)
    wait_until(lambda: len(playing.results) >= 10)
    assert {result.attempt.message.id for result in playing.results[:10]} == set(range(5_001, 5_011))
    wait_until(lambda: len(playing.results) == 5_010)
    assert ticks() - since >= 0.5
    assert max(Counter(result.attempt.message.id for result in playing.results).values()) == 1


def played(phone: int, seconds: float) -> Played:
    one = play(phone)
    return one._replace(seconds=seconds) if one.seconds else one


def test_what_may_not_be_begun_any_more_comes_back(playing: Playing) -> None:
    """Its mailing may be over or paused by then, or the message may be somebody else's before the call has ended."""
    results = playing.send(to(79120000000, 1, start_by=-0.1), to(79120000002, 2, lease=SLOW - 1.0), to(79120000000, 3))
    assert [results[message_id].outcome is None for message_id in (1, 2, 3)] == [True, True, False]


def test_at_the_stop_what_is_open_is_given_up_and_nothing_is_begun() -> None:
    """Nobody knows whether a provider has taken it."""
    with started() as playing:
        playing.provider.offer([to(79120000002)])
        wait_until(lambda: bool(playing.provider._open))
    playing.provider.offer([to(79120000000, 2)])
    given_up, late = playing.results
    assert given_up.outcome is not None
    assert (given_up.outcome.kind, given_up.blame) == (OutcomeKind.AMBIGUOUS, Blame.MESSAGE)
    assert late.outcome is None


def test_a_stop_waits_for_what_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher_service.sending.built_in.play", lambda phone: played(phone, seconds=0.2))
    with started() as playing:
        playing.provider.offer([to(79120000002)])
        wait_until(lambda: bool(playing.provider._open))
        playing.provider.stop(within=30)
        assert playing.provider.join(20)
    [result] = playing.results
    assert result.outcome is not None
    assert result.outcome.kind is OutcomeKind.ACCEPTED
