"""What a dispatcher has in hand: the most urgent is picked first, and a job is let go when its calls have begun."""

from dispatcher_service.pipeline.in_hand import OUTDATED, WAITED_LONG, Held, InHand
from shared.broker.base import Delivery
from shared.domain.apart import TEST_LANE
from shared.domain.job import DispatchJob, Piece, Urgency


def piece(mailing_id: int, *ids: int, rank: int = 1, ends_at: float = 100.0, lane: int = 0) -> Piece:
    return Piece(mailing_id, lane, Urgency(rank, ends_at), ids)


def job(number: int, *pieces: Piece, since: float = 0.0, body: bytes = b"") -> Held:
    """It was read at 1000 by the database's clock."""
    delivery = Delivery("message.dispatch", body or str(number).encode(), number, None)
    return Held.of(delivery, DispatchJob(1000.0, pieces), since)


def holding(*jobs: Held) -> InHand:
    in_hand = InHand()
    for held in jobs:
        in_hand.hold(held)
    return in_hand


def picked(in_hand: InHand, room: int, now: float = 1.0) -> list[tuple[int, list[int]]]:
    return [(pick.piece.mailing_id, list(pick.message_ids)) for pick in in_hand.pick(room, now)]


def tags(in_hand: InHand, begun: int = 0, clock: float | None = 1001.0, now: float = 1.0) -> list[int]:
    return [delivery.tag for delivery in in_hand.let_go(begun, now, clock)]


def test_nothing_in_hand() -> None:
    in_hand = InHand()
    assert in_hand.is_empty
    assert in_hand.pick(100, 0.0) == []
    assert tags(in_hand) == []


def test_the_oldest_job_of_a_mailing_is_picked_first_and_no_more_than_there_is_room_for() -> None:
    in_hand = holding(job(1, piece(1, 11, 12)), job(2, piece(1, 13, 14), since=0.1))
    assert picked(in_hand, 3) == [(1, [11, 12]), (1, [13])]
    assert picked(in_hand, 0) == []


def test_what_a_mailing_has_no_room_for_leaves_its_place_to_others() -> None:
    in_hand = holding(job(1, piece(1, 11, 12, 13), piece(2, 21, 22)), job(2, piece(1, 14), piece(3, 31), since=0.1))

    def picked(most: dict[int, int]) -> list[list[int]]:
        return [list(pick.message_ids) for pick in in_hand.pick(4, 1.0, most)]

    assert picked({}) == [[11, 12, 13], [21]]
    assert picked({1: 2}) == [[11, 12], [21, 22]]
    assert picked({1: 0, 2: 1}) == [[21], [31]]


def test_tests_and_what_is_really_sent_take_no_place_of_each_other() -> None:
    in_hand = holding(job(1, piece(1, 11, 12)), job(2, piece(2, 21, 22, lane=TEST_LANE)))
    tests = in_hand.pick(1, 1.0, is_test=True)
    assert [(pick.piece.mailing_id, pick.message_ids) for pick in tests] == [(2, [21])]
    assert picked(in_hand, 9) == [(1, [11, 12])]
    in_hand.take(tests, 0)
    assert [pick.message_ids for pick in in_hand.pick(9, 1.0, is_test=True)] == [[22]]


def test_the_most_urgent_mailing_passes_by() -> None:
    """First by its class, then by its end."""
    in_hand = holding(
        job(1, piece(1, 11, ends_at=50.0)),
        job(2, piece(2, 21, ends_at=40.0), piece(3, 31, rank=2, ends_at=1.0), since=0.1),
        job(3, piece(4, 41, rank=0, ends_at=900.0), since=0.2),
    )
    assert [mailing_id for mailing_id, _ in picked(in_hand, 10)] == [4, 2, 1, 3]


def test_nothing_is_passed_by_for_ever() -> None:
    """What has been in hand for long goes before all, the oldest first."""
    in_hand = holding(
        job(1, piece(1, 11, rank=2)), job(2, piece(2, 21), since=1.0), job(3, piece(3, 31, rank=0), since=3.0)
    )
    assert [one for one, _ in picked(in_hand, 10, now=WAITED_LONG - 0.1)] == [3, 2, 1]
    assert [one for one, _ in picked(in_hand, 10, now=WAITED_LONG)] == [1, 3, 2]
    assert [one for one, _ in picked(in_hand, 10, now=WAITED_LONG + 1.0)] == [2, 1, 3]


def test_what_was_picked_waits_until_its_claim_is_decided() -> None:
    """The transaction of the claim may fail."""
    in_hand = holding(job(1, piece(1, 11, 12)))
    assert picked(in_hand, 1) == [(1, [11])]
    picks = in_hand.pick(1, 1.0)
    assert picks[0].message_ids == [11]
    in_hand.take(picks, begun=1)
    assert picked(in_hand, 5) == [(1, [12])]


def test_a_job_of_which_nothing_was_claimed_is_done() -> None:
    in_hand = holding(job(1, piece(1, 11)), job(2, piece(2, 21), since=0.1))
    in_hand.take(in_hand.pick(1, 1.0), begun=0)
    assert tags(in_hand) == [1]
    assert tags(in_hand) == [], "it is let go once"
    assert not in_hand.is_empty


def test_a_job_is_held_until_its_last_call_has_begun() -> None:
    in_hand = holding(job(1, piece(1, 11, 12), piece(2, 21)))
    in_hand.take(in_hand.pick(2, 1.0), begun=7)
    assert tags(in_hand, begun=7) == [], "one is still to be claimed"
    in_hand.take(in_hand.pick(2, 1.0), begun=9)
    assert tags(in_hand, begun=8) == []
    assert tags(in_hand, begun=9) == [1]
    assert in_hand.is_empty


def test_a_job_that_came_again_takes_the_place_of_the_one_in_hand() -> None:
    in_hand = holding(job(1, piece(1, 11, 12), body=b"same"), job(2, piece(1, 11, 12), body=b"same"))
    assert picked(in_hand, 10) == [(1, [11, 12])]
    assert tags(in_hand) == [1]


def test_what_is_too_old_is_let_go_unread() -> None:
    in_hand = holding(job(1, piece(1, 11)))
    assert tags(in_hand, clock=None) == [], "nobody knows"
    assert tags(in_hand, clock=1000.0 + OUTDATED) == []
    assert tags(in_hand, clock=1000.1 + OUTDATED) == [1]


def test_what_was_in_hand_for_too_long_is_let_go_whatever_the_database_shows() -> None:
    in_hand = holding(job(1, piece(1, 11), since=5.0))
    assert tags(in_hand, clock=960.0, now=5.0 + OUTDATED) == []
    assert tags(in_hand, clock=None, now=5.1 + OUTDATED) == [1]
