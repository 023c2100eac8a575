"""What else is known of a client; which import took whom, what it refused, and how it was read.

Made while the processes run: every column has a constant default or may be null, so no row is written anew, and each
table is asked for alone and given up after a moment, so that nobody stands in line behind a transaction that lasts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0021"
down_revision = "0020"

_COLUMNS = {
    "clients": {"attributes": "jsonb not null default '{}'"},
    "mailings": {"imports": "bigint[] not null default '{}'"},
    "imports": {
        "normalised": "bigint not null default 0",
        "emptied": "bigint not null default 0",
        "emptied_values": "jsonb not null default '[]'",
        "encoding": "varchar(32)",
        "separator": "varchar(1)",
        "columns": "jsonb not null default '[]'",
    },
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, columns in _COLUMNS.items():
            added = ", ".join(f"add column if not exists {name} {kind}" for name, kind in columns.items())
            alter(table, added)
    op.create_table(
        "import_clients",
        sa.Column("import_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("clients", ARRAY(sa.SmallInteger()), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "chunk", "id", name="import_clients_pkey"),
    )
    op.create_table(
        "refused_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="refused_lines_pkey"),
    )
    op.create_index("refused_lines_import_id_id_idx", "refused_lines", ["import_id", "id"])


def downgrade() -> None:
    op.drop_table("refused_lines")
    op.drop_table("import_clients")
    for table, columns in _COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
