"""What one dispatcher has reserved of the wire, and when it asks for more."""

from random import Random

import pytest

from benchmarks.simulation import overtaking
from benchmarks.simulation.limits import run
from dispatcher_service.pipeline.allowance import LATE, LONGEST, POLITE, REST, SHORTEST, SOON, Allowance


def late() -> Allowance:
    """One whose dice always show the most."""
    return Allowance(lambda: 1.0)


def test_it_asks_when_nothing_is_left() -> None:
    allowance = late()
    assert allowance.asks(10.0)
    allowance.got(3, 0.1, 0.05, 10.0)
    assert not allowance.asks(10.0)
    assert allowance.left(10.0) == 3
    assert allowance.use(2) == pytest.approx([10.1, 10.15])
    assert allowance.left(10.0) == 1
    assert not allowance.asks(10.0), "what is left goes out with the next claim"
    allowance.use(1)
    assert allowance.asks(10.25 - SOON + POLITE), "when others have had the time to"


def test_who_had_a_turn_leaves_the_wire_to_the_others_for_as_long_as_those_take() -> None:
    allowance = late()
    for turn in range(10):
        assert allowance.asks(10.0 + 4 * turn)
        allowance.got(1, 0.1, 0.05, 10.0 + 4 * turn)
        allowance.use(1)
        for step in range(80):  # it is asked for as long as there is something to claim
            allowance.asks(10.0 + 4 * turn + step / 20)
    assert not allowance.asks(46.0 + 0.9 * 4 * REST)
    assert allowance.asks(46.0 + 4 * REST + 0.1)


def test_who_wanted_little_in_a_turn_rests_as_long() -> None:
    """Fifty that had jobs of all sizes in hand asked 300 times a second, where 120 are enough."""
    allowance = late()
    for turn in range(10):
        assert allowance.asks(10.0 + 4 * turn)
        allowance.got(allowance.worth(wanted=1 + turn % 2 * 3, job=4, rate=20.0), 0.1, 0.05, 10.0 + 4 * turn)
        for step in range(80):  # what is not used is lost
            allowance.asks(10.0 + 4 * turn + step / 20)
        allowance.use(allowance.left(13.95 + 4 * turn))
    assert not allowance.asks(46.0 + 0.9 * 4 * REST)


def test_where_the_wire_lies_idle_nobody_waits_for_others() -> None:
    """A moment ago they were fifty, with a turn every ten seconds."""
    allowance, now, turns = late(), 0.0, []
    while now < 60.0:
        now += 0.05
        if allowance.asks(now):
            turns.append(now)
            allowance.got(1, 0.1 if len(turns) < 4 else 0.0, 0.05, now)
            allowance.use(1)
            now += 10 * (len(turns) < 4)
    assert turns[-1] - turns[-2] < 0.3


def test_a_turn_is_worth_a_job_so_that_all_have_theirs_soon() -> None:
    allowance = late()
    allowance.got(1, 0.1, 0.05, 10.0)
    assert allowance.worth(wanted=4, job=1, rate=20.0) == 1
    assert allowance.worth(wanted=40, job=10, rate=20.0) == 10
    assert allowance.worth(wanted=400, job=1, rate=2_000.0) == 100, "turns of less cost too much"
    allowance.got(1, 0.0, 0.05, 10.0)
    assert allowance.worth(wanted=400, job=1, rate=20.0) == 400, "nobody else wants it"


def test_what_is_not_used_in_time_is_lost() -> None:
    allowance = late()
    allowance.got(3, 0.0, 0.1, 10.0)
    assert allowance.left(10.1 + LATE) == 2
    assert allowance.left(10.3 + LATE) == 0
    assert allowance.asks(10.3 + LATE)


def test_it_waits_longer_each_time_that_somebody_else_was_faster() -> None:
    allowance, now, pauses = late(), 10.0, []
    for _ in range(20):
        allowance.got(0, 1.0, 0.05, now)
        assert not allowance.asks(now + 1.0)
        pauses.append(next(step / 100 for step in range(1_000) if allowance.asks(now + step / 100)) - 1.0)
        now += 10
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(SHORTEST, abs=0.011)
    assert pauses[-1] == pytest.approx(LONGEST, abs=0.011)
    allowance.got(1, 0.0, 0.05, now)
    allowance.use(1)
    allowance.got(0, 1.0, 0.05, now)
    assert allowance.asks(now + 1.0 + SHORTEST + 0.01)


@pytest.mark.parametrize("dispatchers", [1, 2, 10, 50])
@pytest.mark.parametrize("rate", [1.0, 20.0, 2_000.0])
@pytest.mark.parametrize("stale", [0.0, 0.5])
def test_any_number_of_dispatchers_keeps_the_rate_and_none_holds_a_message(
    rate: float, dispatchers: int, stale: float
) -> None:
    found = run(rate, dispatchers, stale, Random(dispatchers), seconds=30.0)
    assert found.rate == pytest.approx(1.0, abs=0.05)
    assert found.most <= 1.05 + 1 / rate
    assert found.asked <= 100
    assert found.waited <= 0.5


@pytest.mark.parametrize("stale", [0.0, 0.5])
def test_the_rate_is_kept_when_jobs_become_smaller(stale: float) -> None:
    """The first ones are made before the leader knows how many dispatchers there are. Each rested as long after a turn
    of one message as after one of five, and the wire lay idle for 7 % of the time."""
    assert min(run(20.0, 10, stale, Random(seed), seconds=20.0, first_job=5).rate for seed in range(8)) >= 0.97


@pytest.mark.parametrize("dispatchers", [2, 10, 50])
@pytest.mark.parametrize("rate", [20.0, 2_000.0])
def test_nobody_is_passed_over_again_and_again(rate: float, dispatchers: int) -> None:
    """Who has an urgent message in hand has a turn soon. One turn of a hundred came after 14 times the mean time, with
    ten dispatchers at 20 a second after 27 s, when the one that had just had a turn was the first to ask again."""
    assert run(rate, dispatchers, 0.0, Random(dispatchers), seconds=60.0).passed <= 6


@pytest.mark.parametrize(("rate", "dispatchers", "most"), [(20.0, 1, 3.0), (20.0, 10, 5.5), (2_000.0, 10, 3.0)])
def test_urgent_ones_overtake_at_a_low_rate(rate: float, dispatchers: int, most: float) -> None:
    """Twenty behind a huge mailing, which take a second by themselves at 20 a second. With ten dispatchers the last
    came after 7 to 11 s: some of them were passed over with one of these in hand."""
    assert max(overtaking.run(rate, dispatchers, Random(seed)) for seed in range(8)) <= most
