"""Segments, filters by time zone and attribute, and what they exclude.

Made while the processes run: every column has a constant default, so no row is written anew, and the table is asked for
alone and given up after a moment. The index of attributes is made beside the traffic, which may take minutes where
there are millions of clients; whoever was stopped in the middle does it again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0023"
down_revision = "0021"

_COLUMNS = {
    "timezones": "varchar(64)[] not null default '{}'",
    "attributes": "jsonb not null default '{}'",
    "segments": "bigint[] not null default '{}'",
    "exclude": "jsonb not null default '{}'",
    "fixed_segments": "jsonb not null default '[]'",
    "named_segments": "bigint[] not null default '{}'",
    "named_imports": "bigint[] not null default '{}'",
    "named_mailings": "bigint[] not null default '{}'",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        added = ", ".join(f"add column if not exists {name} {kind}" for name, kind in _COLUMNS.items())
        alter("mailings", added)
        op.execute("drop index concurrently if exists clients_attributes_idx")
        op.execute("""
            create index concurrently clients_attributes_idx on clients using gin (attributes jsonb_path_ops)
            where attributes <> '{}'
        """)
    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("filter", JSONB(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("named_segments", ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("named_imports", ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="segments_pkey"),
    )
    op.create_index("segments_name_id_idx", "segments", ["name", "id"])
    op.create_index("segments_named_segments_idx", "segments", ["named_segments"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("segments")
    op.drop_index("clients_attributes_idx", "clients")
    for name in _COLUMNS:
        op.drop_column("mailings", name)
