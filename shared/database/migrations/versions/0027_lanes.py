"""Several providers, and the lanes that they make: which of them may take a message.

Made while the processes run: the columns may be null or have a constant default, so no row is written anew.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0027"
down_revision = "0026"

_COLUMNS = {
    "messages": {"provider": "smallint"},
    "mailings": {"provider": "varchar(64)", "routing": "bigint not null default 0"},
    "dispatcher_paces": {"providers": "jsonb not null default '{}'"},
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, columns in _COLUMNS.items():
            alter(table, ", ".join(f"add column if not exists {name} {kind}" for name, kind in columns.items()))
    op.create_table(
        "providers",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("is_there", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("given_weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("weight", sa.Integer(), nullable=True),
        sa.Column("paused_at", TIMESTAMP(timezone=True), nullable=True),
        sa.Column("share", sa.SmallInteger(), server_default="100", nullable=False),
        sa.Column("share_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("number", name="providers_pkey"),
        sa.UniqueConstraint("name", name="providers_name_key"),
    )
    op.create_table(
        "lanes",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("providers", ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
        sa.Column("operator_codes", ARRAY(sa.String(3)), server_default="{}", nullable=False),
        sa.Column("senders", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("routing", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("number", name="lanes_pkey"),
    )
    op.execute("insert into lanes (number) values (0)")
    # What was called before there were several went to the one that there was.
    op.execute("insert into providers (number, name) select 1, 'seed' where exists (select from mailings)")


def downgrade() -> None:
    op.drop_table("lanes")
    op.drop_table("providers")
    for table, columns in _COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
