"""What a dispatcher has in hand: every id is picked until it is decided, and a job is let go once nothing needs it."""

from collections import deque

from dispatcher_service.pipeline.in_hand import PREFETCH, Held, InHand
from shared.broker.base import Delivery


def job(number: int, *ids: int, mailing_id: int = 1, body: bytes = b"") -> Held:
    return Held(Delivery("message.dispatch", body or str(number).encode(), number, None), mailing_id, deque(ids))


def holding(*jobs: Held) -> InHand:
    in_hand = InHand()
    for held in jobs:
        in_hand.hold(held)
    return in_hand


def tags(in_hand: InHand, room: int = 0) -> list[int]:
    return [delivery.tag for delivery in in_hand.let_go(room)]


def test_nothing_in_hand() -> None:
    in_hand = InHand()
    assert in_hand.is_empty
    assert in_hand.pick(100) == {}
    assert tags(in_hand) == []


def test_the_oldest_jobs_are_picked_first_and_no_more_than_there_is_room_for() -> None:
    in_hand = holding(job(1, 11, 12), job(2, 21, mailing_id=2), job(3, 13, 14))
    picks = in_hand.pick(4)
    assert {mailing_id: pick.message_ids for mailing_id, pick in picks.items()} == {1: [11, 12, 13], 2: [21]}
    assert in_hand.pick(0) == {}


def test_what_was_picked_waits_until_its_claim_is_decided() -> None:
    """The transaction of the claim may fail."""
    in_hand = holding(job(1, 11, 12))
    assert in_hand.pick(1)[1].message_ids == [11]
    pick = in_hand.pick(1)[1]
    assert pick.message_ids == [11]
    in_hand.take(pick)
    assert in_hand.pick(5)[1].message_ids == [12]


def test_a_job_of_which_nothing_was_claimed_is_done() -> None:
    in_hand = holding(job(1, 11), job(2, 21))
    in_hand.take(in_hand.pick(1)[1])
    assert tags(in_hand) == [1]
    assert tags(in_hand) == [], "it is let go once"
    assert not in_hand.is_empty


def test_a_job_is_held_until_the_last_result_of_its_claims() -> None:
    in_hand = holding(job(1, 11, 12), job(2, 13))
    pick = in_hand.pick(5)[1]
    in_hand.take(pick)
    in_hand.own(pick, claim_id=7, messages=3)
    in_hand.forget(7, 2)
    assert tags(in_hand) == []
    in_hand.forget(7, 1)
    assert tags(in_hand) == [1, 2]
    assert in_hand.is_empty


def test_claims_of_one_job_are_counted_apart() -> None:
    in_hand = holding(job(1, 11, 12))
    for claim_id in (7, 8):
        pick = in_hand.pick(1)[1]
        in_hand.take(pick)
        in_hand.own(pick, claim_id, messages=1)
    in_hand.forget(8, 1)
    assert tags(in_hand) == []
    in_hand.forget(7, 1)
    assert tags(in_hand) == [1]


def test_a_claim_that_may_not_have_been_committed_leaves_its_ids_waiting() -> None:
    in_hand = holding(job(1, 11))
    in_hand.own(in_hand.pick(1)[1], claim_id=7, messages=1)
    in_hand.forget(7, 1)
    assert tags(in_hand) == []
    assert in_hand.pick(1)[1].message_ids == [11]


def test_a_job_that_came_again_takes_the_place_of_the_one_in_hand() -> None:
    in_hand = holding(job(1, 11, 12, body=b"same"), job(2, 11, 12, body=b"same"))
    assert in_hand.pick(10)[1].message_ids == [11, 12]
    assert tags(in_hand) == [1]


def test_when_the_hand_is_full_and_little_is_left_jobs_on_their_way_are_let_go() -> None:
    in_hand = holding(*(job(number, number) for number in range(PREFETCH - 2)))
    pick = in_hand.pick(PREFETCH - 3)[1]
    in_hand.take(pick)
    in_hand.own(pick, claim_id=7, messages=len(pick.message_ids))
    assert tags(in_hand, room=1) == [], "what waits fills the room"
    assert tags(in_hand, room=2) == list(range(PREFETCH - 3))
    in_hand.forget(7, PREFETCH - 3)
    assert not in_hand.is_empty, "one job still waits"


def test_when_the_hand_is_not_full_jobs_on_their_way_are_held() -> None:
    in_hand = holding(*(job(number, number) for number in range(PREFETCH - 3)))
    pick = in_hand.pick(PREFETCH)[1]
    in_hand.take(pick)
    in_hand.own(pick, claim_id=7, messages=len(pick.message_ids))
    assert tags(in_hand, room=100) == []
