"""The states of messages as SQL has them: conditions and sums, derived from their one list."""

from collections.abc import Iterable

from shared.domain.message import (
    FINAL_STATES,
    HELD_STATES,
    RARE_STATES,
    WAITING_STATES,
    MessageState,
)


def names(states: Iterable[MessageState]) -> str:
    """`('pending', 'sent')`, in the order of the list."""
    chosen = frozenset(states)
    return "(" + ", ".join(f"'{state}'" for state in MessageState if state in chosen) + ")"


IS_WAITING = f"status in {names(WAITING_STATES)}"
IS_HELD = f"status in {names(HELD_STATES)}"
IS_FINAL = f"status in {names(FINAL_STATES)}"
IS_RARE = f"status in {names(RARE_STATES)}"


def total(states: Iterable[MessageState], table: str) -> str:
    """The sum of their columns in a row of counters."""
    chosen = frozenset(states)
    return " + ".join(f"{table}.{state}" for state in MessageState if state in chosen)
