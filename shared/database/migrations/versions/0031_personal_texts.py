"""Texts that are made for each client: which mailings have one, and what was made.

Nothing is written into rows that are there: what is under way was no template, and stays as it is.
"""

from alembic import op

from shared.database.migrations.patience import alter

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("mailings", "add column if not exists personal boolean not null default false")
        alter("messages", "add column if not exists text text")


def downgrade() -> None:
    """Whoever is still to be written to would get the template itself."""
    op.drop_column("messages", "text")
    op.drop_column("mailings", "personal")
