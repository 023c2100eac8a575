"""When a key was used last, and when somebody was last warned that it expires."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision = "0003"

Timestamp = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("last_used_at", Timestamp, nullable=True))
    op.add_column("api_keys", sa.Column("warned_at", Timestamp, nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "warned_at")
    op.drop_column("api_keys", "last_used_at")
