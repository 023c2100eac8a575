"""How many dispatchers there should be."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.create_table(
        "scaling",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("oldest_due", sa.Float(), nullable=False),
        sa.Column("reckoned_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="scaling_pkey"),
    )


def downgrade() -> None:
    op.drop_table("scaling")
