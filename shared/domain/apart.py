"""Mailings that stand apart: sent as any other, held by the ledger as any other, and in none of the figures of what is
really sent to somebody. Pure.

A test (`test`) was made by a key of that scope, and goes through the built-in provider. A trial (`trial_of`) is another
mailing that is tried out on a few phones, through the provider of that one; it is shown as a part of that one only.
"""

IS_APART = "(test or trial_of is not null)"
"""A condition of SQL on a mailing."""

IS_HIDDEN = f"(deleted_at is not null or {IS_APART})"
"""Nobody sees it in lists and totals of what is really sent. These are without it from its end on at the latest; until
then it is one of few."""

BUILT_IN = "(test)"
"""The built-in provider, as receipts name theirs. No other one can have this name."""

TEST_LANE = 999
"""Of the messages of tests, which nobody but the built-in provider may take."""

NOT_APART = f"mailing_id not in (select id from mailings where {IS_APART})"
"""A condition on rows that name a mailing. By the index of just those that stand apart."""
