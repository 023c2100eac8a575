"""The names under which the ledger counts.

A tally's name is a final state, REPEATED, ERROR_PREFIX and an error's name, REASON_PREFIX and a reason's, or
RECEIPT_PREFIX and a name of `shared.domain.receipt.RECEIPTS`.
"""

from shared.domain.message import FINAL_STATES, MessageState
from shared.domain.state_sql import names

STATES = tuple(str(state) for state in MessageState)
"""The columns of `mailing_counters`, one for each state."""

ERROR_PREFIX = "error."
REASON_PREFIX = "skipped."
RECEIPT_PREFIX = "receipt."
REPEATED = "repeated"

QUARTER = "date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00')"
"""In SQL: the quarter of an hour in which `moment` lies. Tallies are counted by it."""

IS_FINAL = f"name in {names(FINAL_STATES)}"
"""A condition of SQL: the tally is of a final state."""
