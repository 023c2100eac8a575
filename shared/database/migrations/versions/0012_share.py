"""What decides who goes first and how fast: the class of a mailing, the paces of dispatchers, and limits by name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0012"
down_revision = "0011"

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
    op.create_table(
        "limits",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("next_at", TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="limits_pkey"),
    )
    op.drop_table("send_rate")


def downgrade() -> None:
    op.create_table(
        "send_rate",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("next_at", TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="send_rate_pkey"),
    )
    op.execute("insert into send_rate (id, next_at) values (1, now())")
    op.drop_table("limits")
    op.drop_table("dispatcher_paces")
    op.drop_column("mailings", "priority")
    op.execute("drop type mailing_priority")
