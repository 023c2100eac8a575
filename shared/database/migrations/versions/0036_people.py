"""People whom an identity provider signs in on the console, and whose a session is.

Made while the processes run: an older one writes sessions of keys alone, and takes one of a person for none of a key
that there is.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter(
            "sessions",
            "alter column key_id drop not null,"
            " add column if not exists person_id varchar(12),"
            " add column if not exists authenticated_at timestamptz,"
            " add column if not exists id_token bytea,"
            " drop constraint if exists sessions_whose_check,"
            " add constraint sessions_whose_check check (num_nonnulls(key_id, person_id) = 1)",
        )
        op.execute("create index if not exists sessions_person_id_idx on sessions (person_id)")
    op.create_table(
        "people",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("created_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("signed_in_at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("scope in ('read', 'test', 'write', 'admin')", name="people_scope_check"),
        sa.PrimaryKeyConstraint("id", name="people_pkey"),
        sa.UniqueConstraint("issuer", "subject", name="people_issuer_subject_key"),
    )


def downgrade() -> None:
    op.drop_table("people")
    op.execute("delete from sessions where key_id is null")
    op.drop_constraint("sessions_whose_check", "sessions")
    op.drop_index("sessions_person_id_idx", "sessions")
    for name in ("person_id", "authenticated_at", "id_token"):
        op.drop_column("sessions", name)
    op.alter_column("sessions", "key_id", nullable=False)
