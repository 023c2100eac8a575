"""A file of suppressions says how far it is, and what came of it.

Made while the processes run: an older one counts nothing there, and its files look as if they had no lines.
"""

from alembic import op

from shared.database.migrations.patience import alter

revision = "0035"
down_revision = "0034"

_COLUMNS = {
    "name": "varchar(64) not null default ''",
    "heard_at": "timestamptz not null default now()",
    "failure": "text",
    "lines": "bigint not null default 0",
    "created": "bigint not null default 0",
    "known": "bigint not null default 0",
    "encoding": "varchar(32)",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        added = [f"add column if not exists {name} {kind}" for name, kind in _COLUMNS.items()]
        alter("suppression_files", ", ".join(added))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("suppression_files", name)
