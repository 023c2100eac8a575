"""What programs can rely on: revisions, references, answers that are kept, and who changed what.

`audit` is only ever added to: a trigger holds it, whoever is connected. What joins tables that are there does so beside
the traffic, outside a transaction, and may be repeated.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0015"
down_revision = "0013"

_THINGS = ("clients", "mailings")
_COLUMNS = (
    "revision bigint not null default 1",
    "reference varchar(64)",
    "reference_owner varchar(64) not null default ''",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table in _THINGS:
            alter(table, ", ".join(f"add column if not exists {column}" for column in _COLUMNS))
            op.execute(f"drop index concurrently if exists {table}_reference_key")
            op.execute(f"""
                create unique index concurrently {table}_reference_key on {table} (reference, reference_owner)
                where reference is not null
            """)
    op.create_table(
        "kept_answers",
        sa.Column("caller", sa.String(12), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", JSONB(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("caller", "key", name="kept_answers_pkey"),
    )
    op.create_index("kept_answers_made_at_idx", "kept_answers", ["made_at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("thing", sa.String(32), nullable=False),
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("members", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("before", JSONB(), nullable=True),
        sa.Column("after", JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="audit_pkey"),
    )
    op.create_index("audit_thing_thing_id_id_idx", "audit", ["thing", "thing_id", "id"])
    op.execute("""
        create trigger append_only before update or delete or truncate on audit
        for each statement execute function refuse_change()
    """)


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("kept_answers")
    for table in _THINGS:
        op.drop_index(f"{table}_reference_key", table)
        for column in ("reference_owner", "reference", "revision"):
            op.drop_column(table, column)
