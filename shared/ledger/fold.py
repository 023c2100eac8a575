"""What is left of a finished mailing in the ledger."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.ledger.figures import read_figures
from shared.ledger.names import STATES

FOLDED = -1
"""The slot that has the sum of the others."""


def close_accounts(connection: Connection, entries: Entries, finished: Sequence[int], deleted: Sequence[int]) -> None:
    """In the transaction that finishes the mailings: their counters become one row each, since nothing will move any
    more. deleted: those of them that nobody is to see; the totals are without them from now on."""
    for figures in read_figures(connection, deleted).values():
        entries.hidden(figures)
    connection.execute(_FOLD, {"mailing_ids": sorted(finished)})


_FOLD = text(f"""
    with gone as (delete from mailing_counters where mailing_id = any(:mailing_ids) returning *)
    insert into mailing_counters as c (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at)
    select mailing_id, {FOLDED}, {", ".join(f"sum({state})" for state in STATES)}, min(first_sent_at), max(last_sent_at)
    from gone group by mailing_id
""")
