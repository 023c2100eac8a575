"""What else is known of a client; which import took whom, what it refused, and how it was read.

Every column has a constant default or may be null, so no table is written anew.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0021"
down_revision = "0020"

_OF_IMPORTS = (
    sa.Column("normalised", sa.BigInteger(), server_default="0", nullable=False),
    sa.Column("emptied", sa.BigInteger(), server_default="0", nullable=False),
    sa.Column("emptied_values", JSONB(), server_default="[]", nullable=False),
    sa.Column("encoding", sa.String(32), nullable=True),
    sa.Column("separator", sa.String(1), nullable=True),
    sa.Column("columns", JSONB(), server_default="[]", nullable=False),
)


def upgrade() -> None:
    op.add_column("clients", sa.Column("attributes", JSONB(), server_default="{}", nullable=False))
    op.add_column("mailings", sa.Column("imports", ARRAY(sa.BigInteger()), server_default="{}", nullable=False))
    for column in _OF_IMPORTS:
        op.add_column("imports", column)
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
    for column in _OF_IMPORTS:
        op.drop_column("imports", column.name)
    op.drop_column("mailings", "imports")
    op.drop_column("clients", "attributes")
