"""How far a mailing was at some moments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.create_table(
        "mailing_moments",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", "at", name="mailing_moments_pkey"),
    )


def downgrade() -> None:
    op.drop_table("mailing_moments")
