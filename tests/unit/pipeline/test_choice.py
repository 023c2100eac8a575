"""Which of a lane's providers takes how much: by weight, and away from those that cannot."""

import pytest

from dispatcher_service.pipeline.choice import LEAD, Choice, Offer, Sole
from shared.domain.lanes import ANY

A, B, C = 1, 2, 3
LANES = {ANY: (A, B, C), A: (A,), B: (B,), C: (C,)}
FULL = 10_000


def shared_out(wanted: int, offers: dict[int, Offer], lane: int = ANY) -> dict[int, int]:
    return dict(Choice().plan(LANES, offers).take(lane, wanted))


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ({A: Offer(1, FULL), B: Offer(1, FULL)}, {A: 600, B: 600}),
        ({A: Offer(9, FULL), B: Offer(1, FULL)}, {A: 1080, B: 120}),
        ({A: Offer(1, FULL), B: Offer(1, FULL), C: Offer(2, FULL)}, {A: 300, B: 300, C: 600}),
        ({A: Offer(1, FULL), B: Offer(0, FULL)}, {A: 1200}),  # nothing by its weight
        ({A: Offer(1, 0, is_up=False), B: Offer(1, FULL)}, {B: 1200}),  # who is down leaves all to the others
        ({A: Offer(1, 100, is_limited=True), B: Offer(1, FULL)}, {A: 100, B: 1100}),  # and who is limited, the rest
        ({A: Offer(1, 0), B: Offer(1, FULL)}, {B: LEAD}),  # in one go
        ({A: Offer(1, 0, is_up=False), B: Offer(0, FULL)}, {}),
        ({}, {}),
    ],
)
def test_by_weight_as_far_as_each_can(offers: dict[int, Offer], expected: dict[int, int]) -> None:
    shares = shared_out(1200, offers)
    assert shares.keys() == expected.keys()
    for provider, number in shares.items():
        assert number == pytest.approx(expected[provider], rel=0.2)


def test_a_lane_of_one_takes_all_whatever_its_weight() -> None:
    assert shared_out(7, {A: Offer(0, FULL), B: Offer(5, FULL)}, lane=A) == {A: 7}
    assert shared_out(7, {A: Offer(0, 5), B: Offer(5, FULL)}, lane=A) == {A: 5}
    assert shared_out(7, {B: Offer(5, FULL)}, lane=A) == {}


def test_one_by_one_comes_to_the_same() -> None:
    choice, taken = Choice(), {A: 0, B: 0}
    for _ in range(1000):
        plan = choice.plan(LANES, {A: Offer(9, FULL), B: Offer(1, FULL)})
        ((provider, number),) = plan.take(ANY, 1)
        choice.settle(plan)
        taken[provider] += number
    assert taken[A] == pytest.approx(900, abs=5)


def test_what_was_not_carried_out_counts_for_nothing() -> None:
    choice, offers = Choice(), {A: Offer(1, FULL), B: Offer(1, FULL)}
    first = choice.plan(LANES, offers).take(ANY, 1)
    assert choice.plan(LANES, offers).take(ANY, 1) == first


def test_who_was_down_has_little_to_make_up_for() -> None:
    choice = Choice()
    both = {A: Offer(1, FULL), B: Offer(1, FULL)}
    choice.settle(choice.plan(LANES, both))
    alone = choice.plan(LANES, {A: Offer(1, FULL), B: Offer(1, 0, is_up=False)})
    alone.take(ANY, FULL)
    choice.settle(alone)
    shares = dict(choice.plan(LANES, both).take(ANY, 4 * LEAD))
    assert shares[A] > LEAD


def test_who_has_no_room_holds_nobody_up() -> None:
    choice, taken = Choice(), 0
    for _ in range(20):
        plan = choice.plan(LANES, {A: Offer(1, 0), B: Offer(1, FULL)})
        taken += dict(plan.take(ANY, 1200))[B]
        choice.settle(plan)
    assert taken >= 20 * LEAD


def test_a_claim_of_many_pieces_leads_by_no_more_than_one_of_one_piece() -> None:
    plan = Choice().plan(LANES, {A: Offer(1, 0), B: Offer(1, FULL)})
    taken = sum(dict(plan.take(ANY, 1)).get(B, 0) for _ in range(1000))
    assert taken <= LEAD + LEAD // 10


def test_lanes_share_the_room_of_their_providers() -> None:
    plan = Choice().plan(LANES, {A: Offer(1, 10), B: Offer(1, 10)})
    assert dict(plan.take(A, 8)) == {A: 8}
    assert dict(plan.take(ANY, 100)) == {A: 2, B: 10}
    assert plan.room == 0
    assert plan.taken == {A: 10, B: 10}


def test_the_same_within_less_room() -> None:
    plan = Choice().plan(LANES, {A: Offer(1, 10), B: Offer(1, 10)})
    plan.take(ANY, 20)
    assert dict(plan.within({A: 1, B: 3}).take(ANY, 20)) == {A: 1, B: 3}


def test_what_they_may_take_together_goes_by_weight() -> None:
    """A limit of all of them lets through less than each has room for: by their room, two that have as much would get
    halves."""
    choice, taken = Choice(), {A: 0, B: 0, C: 0}
    for _ in range(100):
        wanted = choice.plan(
            LANES,
            {A: Offer(8, 60, is_limited=True), B: Offer(2, 60, is_limited=True), C: Offer(10, 5, is_limited=True)},
        )
        wanted.take(ANY, 200)
        plan = wanted.within(wanted.taken, {frozenset({A, B}): 7})
        assert plan.room == 7 + 5
        shares = dict(plan.take(ANY, plan.room))
        assert shares[C] == 5
        assert shares.get(A, 0) + shares.get(B, 0) == 7
        for provider, number in shares.items():
            taken[provider] += number
        choice.settle(plan)
    assert taken[A] == pytest.approx(560, abs=10)


def test_where_there_is_one_it_takes_what_it_has_room_for() -> None:
    plan = Sole(5)
    assert plan.take(ANY, 3) == ((0, 3),)
    assert plan.take(7, 3) == ((0, 2),)
    assert plan.take(ANY, 3) == ()
    assert plan.taken == {0: 5}
