"""A job owns nothing: what is on the broker is no state of a message any more.

In one transaction, which locks the messages for as long as their index is made: the processes are to be stopped, for
the last time. A dispatcher that was forgotten and writes the state that goes makes the check fail, and with it the
migration, which has then changed nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

INDEX = "messages_due_idx"
CHECK = "messages_due_at_check"
COLUMNS = ["mailing_id", "lane", "due_at", "id"]
OPEN = "'pending', 'sending', 'retrying'"
OPEN_BEFORE = "'pending', 'queued', 'sending', 'retrying'"


def upgrade() -> None:
    """The name stays in the type, from which PostgreSQL takes none away; no row has it. What was on the broker is due
    again within half a minute, as it was before, and so is the hint of its mailing."""
    op.execute("update messages set status = 'pending' where status = 'queued'")
    for table in ("mailing_counters", "ledger_totals"):
        op.execute(f"update {table} set pending = pending + queued where queued <> 0")
        op.drop_column(table, "queued")
    _make_anew("'pending', 'retrying'", OPEN)


def downgrade() -> None:
    for table in ("mailing_counters", "ledger_totals"):
        op.add_column(table, sa.Column("queued", sa.BigInteger(), server_default="0", nullable=False))
    _make_anew("'pending', 'queued', 'retrying'", OPEN_BEFORE)


def _make_anew(waiting: str, states: str) -> None:
    op.drop_index(INDEX, "messages")
    op.create_index(INDEX, "messages", COLUMNS, postgresql_where=sa.text(f"status in ({waiting})"))
    op.execute(f"alter table messages drop constraint {CHECK}")
    op.execute(f"alter table messages add constraint {CHECK} check ((due_at is null) = (status not in ({states})))")
