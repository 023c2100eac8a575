"""The reckoning finds every way in which the service and the provider may disagree."""

from collections.abc import Iterable

import pytest

from sandbox.reckoning import Provider, Service, problems
from shared.domain.message import FINAL_STATES, MessageState

S = MessageState

GOOD: dict[MessageState, set[int]] = {S.SENT: {1, 2, 3}, S.FAILED: {10}, S.UNKNOWN: {4, 5}}
ACCEPTED = {1, 2, 3, 4}  # of the unknown ones, 4 came through and 5 did not


def service(
    messages: dict[MessageState, set[int]], audience: int | None = None, counts: dict[MessageState, int] | None = None
) -> Service:
    rows = {state: messages.get(state, set()) for state in MessageState}
    counted = {state: len(ids) for state, ids in rows.items()} | (counts or {})
    return Service(sum(counted.values()) if audience is None else audience, counted, rows)


def provider(accepted: Iterable[int] = ACCEPTED, twice: int = 0, resent: int = 0, overlapping: int = 0) -> Provider:
    return Provider(set(accepted), twice, resent, overlapping, refuses=lambda message_id: message_id % 10 == 0)


def test_every_message_accounted_for_is_no_problem() -> None:
    assert problems(6, service(GOOD), provider()) == []


def test_accepted_twice_after_a_lost_answer_is_no_problem() -> None:
    assert problems(6, service(GOOD), provider(twice=2)) == []


def test_an_audience_that_is_not_the_matching_clients() -> None:
    assert problems(7, service(GOOD), provider()) == ["The audience is 6; 7 was expected."]


def test_a_ledger_that_does_not_balance() -> None:
    assert problems(7, service(GOOD, audience=7), provider()) == [
        "The ledger does not balance: the audience is 7, the states add up to 6."
    ]


def test_counters_that_do_not_agree_with_the_rows() -> None:
    assert problems(6, service(GOOD, counts={S.SENT: 2, S.FAILED: 2}), provider()) == [
        "Counted as sent by the statistics: 2, in the table: 3.",
        "Counted as failed by the statistics: 2, in the table: 1.",
    ]


@pytest.mark.parametrize("state", sorted(set(MessageState) - FINAL_STATES))
@pytest.mark.parametrize("accepted", [ACCEPTED, ACCEPTED | {7}])
def test_a_message_that_is_still_open(state: MessageState, accepted: set[int]) -> None:
    found = problems(7, service({**GOOD, state: {7}}), provider(accepted))
    assert found == ["Not in a final state: 1 (message 7)."]


def test_a_message_that_is_lost() -> None:
    messages = {**GOOD, S.SENT: {*range(1, 4), *range(11, 18)}}
    found = problems(13, service(messages), provider())
    assert found == ["Counted as sent, but never accepted by the provider: 7 (message 11, 12, 13, 14, 15, …)."]


@pytest.mark.parametrize("state", [S.FAILED, S.EXPIRED, S.CANCELLED])
def test_a_message_that_counts_as_not_sent_but_was(state: MessageState) -> None:
    found = problems(6, service({**GOOD, S.FAILED: set(), state: {10}}), provider(ACCEPTED | {10}))
    assert found == ["Counted as not sent, but accepted by the provider: 1 (message 10)."]


@pytest.mark.parametrize("state", [S.FAILED, S.EXPIRED, S.CANCELLED])
def test_a_message_that_was_not_sent_without_need(state: MessageState) -> None:
    found = problems(7, service({**GOOD, state: GOOD.get(state, set()) | {7}}), provider())
    assert found == ["Not sent, though the provider would have taken them: 1 (message 7)."]


def test_a_message_that_nobody_sent() -> None:
    found = problems(6, service(GOOD), provider(ACCEPTED | {99}))
    assert found == ["Accepted by the provider, but sent by nobody: 1 (message 99)."]


def test_messages_that_came_again_without_need() -> None:
    assert problems(6, service(GOOD), provider(twice=3, resent=2, overlapping=1)) == [
        "Sent again after the provider had answered that it accepted them: 2.",
        "On their way twice at the same time: 1.",
    ]
