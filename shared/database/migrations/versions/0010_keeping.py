"""A mailing says that its messages are removed, and the next ones to go are found by an index of just these."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("mailings", sa.Column("messages_removed_at", TIMESTAMP(timezone=True), nullable=True))
    op.create_index(
        "mailings_kept_idx",
        "mailings",
        ["part", "finished_at"],
        postgresql_where=sa.text("part is not null and messages_removed_at is null"),
    )
    op.create_index(
        "mailings_leftover_idx",
        "mailings",
        ["part"],
        postgresql_where=sa.text("messages_removed_at is not null and first_message_id is not null"),
    )


def downgrade() -> None:
    op.drop_index("mailings_leftover_idx", "mailings")
    op.drop_index("mailings_kept_idx", "mailings")
    op.drop_column("mailings", "messages_removed_at")
