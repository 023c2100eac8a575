"""What stands after receipts, in whatever order they come."""

from itertools import permutations, product

import pytest

from shared.domain.message import MessageState
from shared.domain.receipt import MAX_REASON, Receipt, ReceiptState, combined, counted_as, reason_of, replaces

AWAITING, UNDELIVERED, DELIVERED = ReceiptState


@pytest.mark.parametrize(
    ("came", "stands"),
    [
        ([AWAITING], AWAITING),
        ([AWAITING, DELIVERED], DELIVERED),
        ([DELIVERED, AWAITING], DELIVERED),  # what is known for good is never less known
        ([UNDELIVERED, AWAITING], UNDELIVERED),
        ([UNDELIVERED, DELIVERED], DELIVERED),  # the phone was reached after the provider had given up
        ([DELIVERED, UNDELIVERED], DELIVERED),  # the same two, out of order
        ([AWAITING, UNDELIVERED, AWAITING, DELIVERED, UNDELIVERED], DELIVERED),
    ],
)
def test_which_one_stands(came: list[ReceiptState], stands: ReceiptState) -> None:
    standing = came[0]
    for each in came[1:]:
        standing = each if replaces(each, standing) else standing
    assert standing is stands
    assert [each.state for each in combined([Receipt(state, 7) for state in came])] == [stands]


def test_order_and_repetition_change_nothing() -> None:
    for came in product(ReceiptState, repeat=3):
        found = {combined([Receipt(state, 7) for state in (*some, *some)])[0].state for some in permutations(came)}
        assert len(found) == 1


def test_of_two_that_say_the_same_the_first_one_stands() -> None:
    first, second = Receipt(UNDELIVERED, 7, reason="absent"), Receipt(UNDELIVERED, 7, reason="blocked")
    assert combined([first, second]) == [first]
    assert not replaces(UNDELIVERED, UNDELIVERED)


def test_each_message_is_on_its_own() -> None:
    some = [Receipt(DELIVERED, 1), Receipt(AWAITING, 2), Receipt(UNDELIVERED, reference="a"), Receipt(DELIVERED, 2)]
    assert {(one.message_id, one.reference, one.state) for one in combined(some)} == {
        (1, None, DELIVERED), (2, None, DELIVERED), (None, "a", UNDELIVERED),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (MessageState.SENT, [None, "undelivered", "delivered"]),
        (MessageState.UNKNOWN, [None, "unknown_undelivered", "unknown_delivered"]),
        (MessageState.FAILED, [None, None, None]),
        (MessageState.SENDING, [None, None, None]),
    ],
)
def test_what_it_is_counted_as(status: MessageState, names: list[str | None]) -> None:
    assert [counted_as(status, state) for state in ReceiptState] == names


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("absent subscriber", "absent subscriber"),
        ("  a\nb\x00\u202ec ", "a b c"),
        ("unknown number +7 912 345-67-89", "unknown number 7912*****89"),
        (27, "27"),
        ("", None),
        (None, None),
        (True, None),
        (["a"], None),
        ("я" * 200, "я" * (MAX_REASON // 2)),
        ("\ud800", None),
    ],
)
def test_what_is_kept_of_a_reason(words: object, kept: str | None) -> None:
    assert reason_of(words) == kept
