"""What any call may have delivered is marked for good; what the check of the ledger finds is kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0006"
down_revision = "0005"

_AMBIGUOUS = "error in ('timed_out', 'connection_lost', 'lease_lost')"


def upgrade() -> None:
    op.add_column("messages", sa.Column("maybe_delivered", sa.Boolean(), server_default="false", nullable=False))
    # Each condition on the state is that of a partial index. Final messages stay as they are.
    for states in ("status in ('pending', 'queued', 'retrying')", "status = 'sending'"):
        op.execute(f"update messages set maybe_delivered = true where {states} and {_AMBIGUOUS}")
    op.create_index(
        "mailings_begun_idx",
        "mailings",
        ["id"],
        postgresql_where=sa.text("finished_at is null and audience_limit is not null"),
    )
    op.create_table(
        "ledger_findings",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("found_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("difference", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", name="ledger_findings_pkey"),
    )


def downgrade() -> None:
    op.drop_table("ledger_findings")
    op.drop_index("mailings_begun_idx", "mailings")
    op.drop_column("messages", "maybe_delivered")
