"""The sender id of a mailing.

Made while the processes run: the column may be null, so no row is written anew.
"""

from alembic import op

from shared.database.migrations.patience import alter

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("mailings", "add column if not exists sender varchar(32)")


def downgrade() -> None:
    op.drop_column("mailings", "sender")
