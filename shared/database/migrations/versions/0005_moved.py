"""Hints say which mailings are due, totals what there is in all, and slots are leased."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0005"
down_revision = "0004"

STATES = ("pending", "queued", "sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
Timestamp = TIMESTAMP(timezone=True)
HOT = {"fillfactor": 20, "autovacuum_vacuum_threshold": 500, "autovacuum_vacuum_cost_delay": 0}


def upgrade() -> None:
    op.add_column("mailings", sa.Column("closed_at", Timestamp, nullable=True))
    op.add_column("mailing_counters", sa.Column("due_at", Timestamp, nullable=True))
    op.create_table(
        "ledger_totals",
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
            for name in ("mailings", "audience", *STATES)
        ),
        sa.PrimaryKeyConstraint("slot", name="ledger_totals_pkey"),
        postgresql_with=HOT,
    )
    op.create_table(
        "ledger_slots",
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="ledger_slots_pkey"),
        postgresql_with=HOT,
    )
    for statement in (_FOLD, _HINT, _TOTAL):
        op.execute(statement)
    op.create_index(
        "mailing_counters_due_at_idx", "mailing_counters", ["due_at"], postgresql_where=sa.text("due_at is not null")
    )
    op.drop_index("mailings_open_idx", "mailings")
    for name, column, condition in (
        ("starts_at", "starts_at",
         "launched_at is null and paused_at is null and cancelled_at is null and finished_at is null"),
        ("ends_at", "ends_at", "closed_at is null and finished_at is null"),
        ("cancelled", "id", "cancelled_at is not null and closed_at is null and finished_at is null"),
        ("window_changed", "id", "window_changed and paused_at is null and finished_at is null"),
        ("unfinished", "id", "finished_at is null"),
        ("deleted", "id", "deleted_at is not null and finished_at is null"),
        ("listed", "id", "deleted_at is null"),
    ):  # fmt: skip
        op.create_index(f"mailings_{name}_idx", "mailings", [column], postgresql_where=sa.text(condition))


def downgrade() -> None:
    for name in ("starts_at", "ends_at", "cancelled", "window_changed", "unfinished", "deleted", "listed"):
        op.drop_index(f"mailings_{name}_idx", "mailings")
    op.create_index("mailings_open_idx", "mailings", ["ends_at"], postgresql_where=sa.text("finished_at is null"))
    op.drop_table("ledger_slots")
    op.drop_table("ledger_totals")
    op.drop_index("mailing_counters_due_at_idx", "mailing_counters")
    op.drop_column("mailing_counters", "due_at")
    op.drop_column("mailings", "closed_at")


_SUMS = ", ".join(f"coalesce(sum({state}), 0)" for state in STATES)

# What is finished needs one row.
_FOLD = f"""
    with gone as (
        delete from mailing_counters c using mailings m
        where m.id = c.mailing_id and m.finished_at is not null returning c.*
    )
    insert into mailing_counters (mailing_id, slot, {", ".join(STATES)}, first_sent_at, last_sent_at)
    select mailing_id, -1, {_SUMS}, min(first_sent_at), max(last_sent_at) from gone group by mailing_id
"""

# When the next of its messages is due; at once where none waits, since it may be that it can be finished.
_HINT = """
    update mailing_counters c set due_at = coalesce((
        select due_at from messages where mailing_id = m.id and status in ('pending', 'queued', 'retrying')
        order by due_at limit 1), now())
    from mailings m
    where m.id = c.mailing_id and m.finished_at is null and m.paused_at is null
      and c.slot = (select min(slot) from mailing_counters one where one.mailing_id = m.id)
"""

_TOTAL = f"""
    insert into ledger_totals (slot, mailings, audience, {", ".join(STATES)})
    select 0, (select count(*) from mailings where deleted_at is null),
           (select coalesce(sum(audience), 0) from mailings where deleted_at is null or finished_at is null), {_SUMS}
    from mailing_counters c join mailings m on m.id = c.mailing_id
    where m.deleted_at is null or m.finished_at is null
"""
