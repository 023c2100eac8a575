"""The moves of a message: every way ends, and an end is an end."""

from shared.domain.message import (
    AMBIGUOUS_ERRORS,
    FINAL_STATES,
    MOVES,
    OPEN_STATES,
    WAITING_STATES,
    Error,
    MessageState,
)


def test_every_state_is_open_or_final() -> None:
    assert set(MessageState) == OPEN_STATES | FINAL_STATES
    assert not OPEN_STATES & FINAL_STATES
    assert set(MOVES) == set(MessageState)


def test_a_final_state_has_no_moves() -> None:
    assert not any(MOVES[state] for state in FINAL_STATES)


def test_no_state_moves_to_itself() -> None:
    assert not any(state in moves for state, moves in MOVES.items())


def test_every_state_can_be_reached_from_pending() -> None:
    reached = {MessageState.PENDING}
    while more := {after for state in reached for after in MOVES[state]} - reached:
        reached |= more
    assert reached == set(MessageState)


def test_an_open_message_can_expire_and_be_cancelled_at_any_time() -> None:
    for state in OPEN_STATES:
        assert {MessageState.EXPIRED, MessageState.CANCELLED} < MOVES[state]


def test_only_what_is_being_sent_can_become_sent_or_failed() -> None:
    for result in (MessageState.SENT, MessageState.FAILED):
        assert [state for state in MessageState if result in MOVES[state]] == [MessageState.SENDING]


def test_only_what_waits_can_be_claimed() -> None:
    assert {state for state in MessageState if MessageState.SENDING in MOVES[state]} == WAITING_STATES


def test_names_fit_their_columns() -> None:
    """messages.error and tallies.name take 32 characters, and no error has the name of a state."""
    assert max(len(f"error.{error}") for error in Error) <= 32
    assert not set(map(str, Error)) & set(map(str, MessageState))


def test_after_an_ambiguous_error_the_request_may_have_been_read() -> None:
    assert Error.UNREACHABLE not in AMBIGUOUS_ERRORS
    assert {
        Error.BAD_ANSWER,
        Error.CONTRADICTION,
        Error.TIMED_OUT,
        Error.CONNECTION_LOST,
        Error.LEASE_LOST,
        Error.RESTORED,
    } == AMBIGUOUS_ERRORS
