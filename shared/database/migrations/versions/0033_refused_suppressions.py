"""The lines that a file of suppressions refused are kept, as those of a file of clients are.

Made while the processes run: an older one writes no line of such a file, and always says of which import one is.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0033"
down_revision = "0031"

_INDEX = "refused_lines_suppression_file_id_id_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        of_either = "add column if not exists suppression_file_id bigint, alter column import_id drop not null"
        alter("refused_lines", of_either)
        op.execute(f"drop index concurrently if exists {_INDEX}")
        op.execute(f"""
            create index concurrently {_INDEX} on refused_lines (suppression_file_id, id)
            where suppression_file_id is not null
        """)
    op.create_table(
        "suppression_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("taken_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", TIMESTAMP(timezone=True)),
        sa.Column("refused", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("separator", sa.String(1)),
        sa.Column("columns", JSONB(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("id", name="suppression_files_pkey"),
    )


def downgrade() -> None:
    op.drop_table("suppression_files")
    op.execute("delete from refused_lines where import_id is null")
    op.drop_column("refused_lines", "suppression_file_id")
    op.alter_column("refused_lines", "import_id", nullable=False)
