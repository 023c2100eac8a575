"""The names under which the ledger counts. Pure.

A tally's name is a final state, REPEATED, or ERROR_PREFIX and an error's name.
"""

from shared.domain.message import FINAL_STATES, MessageState

STATES = tuple(str(state) for state in MessageState)
"""The columns of `mailing_counters`, one for each state."""

ERROR_PREFIX = "error."
REPEATED = "repeated"

IS_FINAL = "name in (" + ", ".join(f"'{state}'" for state in sorted(FINAL_STATES)) + ")"
"""A condition of SQL: the tally is of a final state."""
