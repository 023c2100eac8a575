"""The imports of clients, with their progress."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0003"
down_revision = "0002"

Timestamp = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.String(64), server_default="", nullable=False),
        sa.Column("started_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("heard_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", Timestamp, nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        *(
            sa.Column(count, sa.BigInteger(), server_default="0", nullable=False)
            for count in ("lines", "created", "updated", "refused")
        ),
        sa.Column("errors", JSONB(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("id", name="imports_pkey"),
    )


def downgrade() -> None:
    op.drop_table("imports")
