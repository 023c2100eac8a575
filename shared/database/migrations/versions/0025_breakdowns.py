"""The messages of finished mailings by operator code, status and error."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "mailing_breakdowns",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("counted_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("counts", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", name="mailing_breakdowns_pkey"),
    )
    op.create_index("mailing_breakdowns_counted_at_idx", "mailing_breakdowns", ["counted_at"])


def downgrade() -> None:
    op.drop_table("mailing_breakdowns")
