"""What decides who goes first and how fast: the class of a mailing, and the paces of dispatchers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0012"
down_revision = "0015"

_PRIORITIES = ("urgent", "normal", "bulk")


def upgrade() -> None:
    priority = sa.Enum(*_PRIORITIES, name="mailing_priority")
    priority.create(op.get_bind())
    op.add_column("mailings", sa.Column("priority", priority, server_default="normal", nullable=False))
    op.create_table(
        "dispatcher_paces",
        sa.Column("dispatcher", sa.Text(), nullable=False),
        sa.Column("pace", sa.Float(), nullable=False),
        sa.Column("noted_at", TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dispatcher", name="dispatcher_paces_pkey"),
    )


def downgrade() -> None:
    op.drop_table("dispatcher_paces")
    op.drop_column("mailings", "priority")
    op.execute("drop type mailing_priority")
