"""What blame, breaker and ladder lead to together: mailings, errors, a text that the provider cannot stand and outages,
drawn at random and played on a clock of their own."""

import heapq
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher_service.sending.blame import CALLS, SECONDS, Blame, Serving, blame
from dispatcher_service.sending.breaker import Breaker
from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.domain.retry import ACCEPTED, Finish, HandBack, Outcome, OutcomeKind, Retry, RetryPolicy, Tried

LADDER = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 20))
PATIENCE = timedelta(seconds=120)
LATENCY, TIMEOUT = 0.1, 1.0

REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
BROKEN = Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR)
SILENT = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)


@dataclass(frozen=True)
class Provider:
    """error_rate: of 5xx. poison: the mailing whose text gets 500 for ever. outages: from when until when, and what it
    does then. refused_one_in: by id."""

    error_rate: float = 0.0
    poison: int | None = None
    outages: tuple[tuple[float, float, Outcome], ...] = ()
    refused_one_in: int = 10_000

    def answer(self, message: "Message", now: float, chance: random.Random) -> Outcome:
        for begin, end, outcome in self.outages:
            if begin <= now < end:
                return outcome
        if message.mailing_id == self.poison:
            return BROKEN
        if message.id % self.refused_one_in == 0:
            return REFUSED
        return BROKEN if chance.random() < self.error_rate else ACCEPTED


@dataclass(eq=False)
class Message:
    id: int
    mailing_id: int
    due_at: float = 0.0
    calls: int = 0
    attempts: int = 0
    ambiguous: int = 0
    first_at: float = 0.0
    last_at: float | None = None
    spent_at: list[int] = field(default_factory=list)  # the places in the log of the calls that were spent
    state: MessageState = MessageState.PENDING
    error: Error | None = None


class World:
    """One dispatcher. `log`: of each call its end, its mailing and whether it was served."""

    def __init__(self, provider: Provider, mailings: dict[int, int], attempts: int, seed: int, slots: int = 16) -> None:
        ids = count(1)
        self.messages = [Message(next(ids), one) for one, number in mailings.items() for _ in range(number)]
        self._open = dict.fromkeys(self.messages)
        self.log: list[tuple[float, int, bool]] = []
        self.policy = RetryPolicy(LADDER, attempts, PATIENCE)
        self._provider, self._slots = provider, slots
        self._chance = random.Random(seed)
        self._serving, self._breaker = Serving(), Breaker()
        self._held: dict[int, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))  # until when; for how long
        self._last_probed: int | None = None

    def run(self, until: float) -> None:
        flight: list[tuple[float, int, float, Message, Outcome]] = []
        numbers, now = count(), 0.0
        while now < until and (self._open or flight):
            for message in self._choose(now, len(flight)):
                outcome = self._provider.answer(message, now, self._chance)
                end = now + (TIMEOUT if outcome is SILENT else LATENCY)
                heapq.heappush(flight, (end, next(numbers), now, message, outcome))
            if flight:
                now, _, began, message, outcome = heapq.heappop(flight)
                self._end(message, outcome, began, now, until)
            else:
                now = max(now + 0.05, self._next(now))

    def _choose(self, now: float, in_flight: int) -> Sequence[Message]:
        """What is called now; it comes back to the open ones when its call has ended."""
        allowed = self._breaker.allowed(now, in_flight)
        if allowed == 0 or in_flight >= self._slots:
            return ()
        due = [each for each in self._open if each.due_at <= now]
        if allowed is None:
            chosen = [each for each in due if self._held[each.mailing_id][0] <= now][: self._slots - in_flight]
        else:  # a probe: tried least, and of another mailing than the last one
            due.sort(key=lambda each: (each.mailing_id == self._last_probed, each.calls))
            chosen = due[:1]
            self._last_probed = chosen[0].mailing_id if chosen else self._last_probed
        for message in chosen:
            del self._open[message]
        return chosen

    def _next(self, now: float) -> float:
        """When there may be something to do again."""
        if self._breaker.is_open:
            return max(now + self._breaker.pause(now), min(each.due_at for each in self._open))
        return min(max(each.due_at, self._held[each.mailing_id][0]) for each in self._open)

    def _end(self, message: Message, outcome: Outcome, began: float, now: float, until: float) -> None:
        outages = self._breaker.outages
        self._breaker.observe(outcome, began, now)
        self._serving.observe(message.mailing_id, outcome, now)
        self.log.append((now, message.mailing_id, outcome.is_served))
        whose = blame(outcome, serves=self._serving.serves(message.mailing_id, message.last_at, now))
        message.first_at = message.first_at if message.calls else now
        message.calls += 1
        message.last_at = now
        message.ambiguous += outcome.kind is OutcomeKind.AMBIGUOUS
        if whose is Blame.MESSAGE:
            message.attempts += 1
            message.spent_at.append(len(self.log))
        message.error = outcome.error if whose is Blame.MESSAGE else Error.PROVIDER_DOWN
        tried = Tried(message.calls, message.attempts, now - message.first_at, message.ambiguous > 0)
        match self.policy.decide(outcome, tried, until - now):
            case Finish(state):
                message.state = state
            case HandBack(delay) | Retry(delay):
                assert delay is not None
                message.due_at = now + delay.total_seconds()
        if message.state not in FINAL_STATES:
            self._open[message] = None
        if self._serving.is_stuck(message.mailing_id, now) and self._held[message.mailing_id][0] <= now:
            pause = 2 * self._held[message.mailing_id][1] or 2.0
            self._held[message.mailing_id] = now + pause, pause
        if self._breaker.outages > outages:
            for each in self._open:
                if each.error is Error.PROVIDER_DOWN:
                    each.due_at = min(each.due_at, now)

    def states(self, mailing_id: int) -> dict[MessageState, int]:
        found: dict[MessageState, int] = defaultdict(int)
        for message in self.messages:
            found[message.state] += message.mailing_id == mailing_id
        return {state: number for state, number in found.items() if number}


def served_beside(log: list[tuple[float, int, bool]], mailing_id: int) -> float:
    """The share of the last calls that were served: of the other mailings if there were any, else of all."""
    recent = [each for each in log[-CALLS:] if each[0] >= log[-1][0] - SECONDS]
    others = [each for each in recent if each[1] != mailing_id] or recent
    return sum(is_served for _, _, is_served in others) / len(others)


outages = st.lists(
    st.tuples(st.floats(0, 30), st.floats(0.5, 60), st.sampled_from([BROKEN, SILENT])).map(
        lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[2])
    ),
    max_size=2,
).map(tuple)
providers = st.builds(
    Provider,
    error_rate=st.sampled_from([0.0, 0.1, 0.3]),
    poison=st.sampled_from([None, 1]),
    outages=outages,
    refused_one_in=st.sampled_from([7, 10_000]),
)
crowds = st.dictionaries(st.integers(1, 4), st.integers(1, 60), min_size=1)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(providers, crowds, st.integers(2, 6), st.integers(0, 2**32))
def test_a_message_is_refused_or_exhausted_beside_others_that_are_served(
    provider: Provider, mailings: dict[int, int], attempts: int, seed: int
) -> None:
    world = World(provider, mailings, attempts, seed)
    world.run(until=36_000.0)
    for message in world.messages:
        assert message.state in FINAL_STATES
        assert message.attempts <= attempts
        assert message.ambiguous <= message.attempts
        if message.ambiguous:
            assert message.state in (MessageState.SENT, MessageState.UNKNOWN)
            continue
        if message.state is not MessageState.FAILED or message.error is Error.REJECTED:
            continue
        if message.error is Error.PROVIDER_DOWN:
            assert message.calls >= world.policy.calls
            assert message.last_at is not None
            assert message.last_at - message.first_at >= PATIENCE.total_seconds()
            continue
        assert message.attempts == attempts
        for place in message.spent_at:
            assert served_beside(world.log[:place], message.mailing_id) >= 0.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("outage", [BROKEN, SILENT])
def test_an_outage_costs_nobody_their_message(outage: Outcome, seed: int) -> None:
    """Of those that it falls upon at most one call each is spent, and that one because nobody could know better."""
    world = World(Provider(outages=((1.0, 121.0, outage),)), {1: 300, 2: 30}, 4, seed)
    world.run(until=36_000.0)
    assert world.states(1) == {MessageState.SENT: 300}
    assert world.states(2) == {MessageState.SENT: 30}
    assert max(message.attempts for message in world.messages) <= (2 if outage is BROKEN else 4)


@pytest.mark.parametrize("seed", range(3))
def test_what_one_in_ten_gets_through_to_everybody_gets_to(seed: int) -> None:
    world = World(Provider(error_rate=0.9), {1: 300, 2: 30}, 10, seed)
    world.run(until=36_000.0)
    failed = sum(message.state is MessageState.FAILED for message in world.messages)
    assert failed <= len(world.messages) / 100


@pytest.mark.parametrize("seed", range(3))
def test_a_text_that_the_provider_cannot_stand_ends_by_calls_where_it_is_alone(seed: int) -> None:
    world = World(Provider(poison=1), {1: 5}, 4, seed)
    world.run(until=36_000.0)
    assert world.states(1) == {MessageState.FAILED: 5}
    assert {message.error for message in world.messages} == {Error.PROVIDER_DOWN}
    assert max(message.calls for message in world.messages) <= world.policy.calls


@pytest.mark.parametrize("seed", range(3))
def test_and_by_attempts_beside_others_who_do_not_notice(seed: int) -> None:
    world = World(Provider(poison=1), {1: 20, 2: 600}, 4, seed)
    for number, message in enumerate(message for message in world.messages if message.mailing_id == 2):
        message.due_at = number / 2
    world.run(until=36_000.0)
    assert world.states(1) == {MessageState.FAILED: 20}
    assert {message.attempts for message in world.messages if message.mailing_id == 1} == {4}
    assert world.states(2) == {MessageState.SENT: 600}
    assert max(each.last_at - each.due_at for each in world.messages if each.mailing_id == 2 and each.last_at) < 5.0
