"""Who began an import stands in its row.

An import that is under way in an older process has nobody there, and leaves no line in the audit if it dies.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0016"


def upgrade() -> None:
    for name in ("by", "request_id"):
        op.add_column("imports", sa.Column(name, sa.String(64), nullable=True))
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists imports_running_idx")
        op.execute("create index concurrently imports_running_idx on imports (id) where ended_at is null")


def downgrade() -> None:
    op.drop_index("imports_running_idx", "imports")
    for name in ("request_id", "by"):
        op.drop_column("imports", name)
