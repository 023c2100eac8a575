"""What is left of a finished mailing in the ledger."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.ledger.figures import read_figures
from shared.ledger.names import STATES

FOLDED = -1
"""The slot that has the sum of the others."""


def close_accounts(connection: Connection, entries: Entries, mailing_ids: Sequence[int], hidden: Sequence[int]) -> None:
    """In the transaction that finishes mailings: the counters of each become one row, since nothing will move any more.

    hidden: those of them that nobody is to see among what is really sent; the totals are without them from now on.
    """
    if hidden:
        take_out(connection, entries, hidden)
    connection.execute(_FOLD, {"mailing_ids": list(mailing_ids)})
    connection.execute(_NO_OPENINGS, {"mailing_ids": list(mailing_ids)})


def take_out(connection: Connection, entries: Entries, mailing_ids: Sequence[int]) -> None:
    """Takes mailings that are finished out of the totals. In the transaction that hides or finishes them, after it has
    said so in their rows.

    Receipts go on coming. Who counts one writes the mailing's counter first, and looks then whether it is hidden. So
    the counters are held here, in all slots: what is being counted at this moment is waited for and taken out, and
    what is counted later finds the mailing hidden.
    """
    connection.execute(_HOLD, {"mailing_ids": list(mailing_ids)})
    for figures in read_figures(connection, mailing_ids).values():
        entries.hidden(figures)
    connection.execute(_LET_GO, {"mailing_ids": list(mailing_ids)})


# Two more slots than there are, as a new one may be taken right now.
_HOLD = text("""
    insert into receipt_counters as c (mailing_id, slot, moved_at)
    select id, slot, '-infinity'
    from unnest(cast(:mailing_ids as bigint[])) id
    cross join generate_series(0, (select count(*) + 1 from ledger_slots)) slot
    order by id, slot
    on conflict (mailing_id, slot) do update set moved_at = c.moved_at
""")
_LET_GO = text("delete from receipt_counters where mailing_id = any(:mailing_ids) and moved_at = '-infinity'")

_FOLD = text(f"""
    with gone as (delete from mailing_counters where mailing_id = any(:mailing_ids) returning *)
    insert into mailing_counters (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at)
    select mailing_id, {FOLDED}, {", ".join(f"sum({state})" for state in STATES)}, min(first_sent_at), max(last_sent_at)
    from gone group by mailing_id
""")


_NO_OPENINGS = text("delete from mailing_openings where mailing_id = any(:mailing_ids)")


def fold_tallies(connection: Connection, mailing_ids: Sequence[int]) -> None:
    """Finished mailings that nobody counts for any more: what the slots have of a quarter becomes one row.

    Quarters stay, since the report of any day in any time zone is made of them. Nothing changes where it was done
    before.
    """
    connection.execute(_FOLD_TALLIES, {"mailing_ids": list(mailing_ids), "slot": FOLDED})


_FOLD_TALLIES = text("""
    with gone as (
        delete from tallies where mailing_id = any(:mailing_ids) and slot <> :slot returning *
    )
    insert into tallies as t (mailing_id, quarter, slot, name, count)
    select mailing_id, quarter, :slot, name, sum(count) from gone group by mailing_id, quarter, name
    having sum(count) <> 0
    on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
""")
