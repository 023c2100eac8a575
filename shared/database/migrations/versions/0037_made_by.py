"""With which key a key was made.

Made while the processes run: the column may be null, so no row is written anew. Keys are few, and looked for by it only
where one is revoked: it has no index.
"""

from alembic import op

from shared.database.migrations.patience import alter

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("api_keys", "add column if not exists made_by varchar(12)")


def downgrade() -> None:
    op.drop_column("api_keys", "made_by")
