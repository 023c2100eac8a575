"""Receipts: what providers say later of the messages that they have taken, and what these are called there.

Made while the processes run: tables of their own, and two columns with a constant default. Parts that a process of the
version before makes afterwards lack the new tables until a dispatcher of this one leads.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ENUM, TIMESTAMP

from shared.database.migrations.patience import alter

revision = "0028"
down_revision = "0027"

Timestamp = TIMESTAMP(timezone=True)
NAMES = ("delivered", "undelivered", "unknown_delivered", "unknown_undelivered")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter(
            "ledger_totals", ", ".join(f"add column if not exists {name} bigint not null default 0" for name in NAMES)
        )
    op.execute("create type receipt_state as enum ('awaiting', 'undelivered', 'delivered')")
    _make_receipts()
    _make_references()
    _make_waiting()
    op.create_table(
        "receipt_counters",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("moved_at", Timestamp, nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in NAMES),
        sa.PrimaryKeyConstraint("mailing_id", "slot", name="receipt_counters_pkey"),
    )
    op.create_index("receipt_counters_moved_at_idx", "receipt_counters", ["moved_at"])
    op.execute("lock table parts in share row exclusive mode")  # none is made meanwhile; launches go on
    for number in op.get_bind().scalars(sa.text("select number from parts order by number")).all():
        for name in ("receipts", "message_references"):
            op.execute(f"create table {name}_{number} partition of {name} for values in ({number})")
        op.execute(f"""
            alter table receipts_{number}
            set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000)
        """)


def _make_receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mailing_id", sa.BigInteger(), nullable=False),
        sa.Column("at", Timestamp, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", ENUM(name="message_state", create_type=False), nullable=False),
        sa.Column("state", ENUM(name="receipt_state", create_type=False), nullable=False),
        sa.Column("previous", ENUM(name="receipt_state", create_type=False), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "part", name="receipts_pkey"),
        sa.CheckConstraint("octet_length(reason) <= 100", name=op.f("receipts_reason_check")),
        postgresql_partition_by="list (part)",
    )


def _make_references() -> None:
    op.create_table(
        "message_references",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "part", "provider", "reference", name="message_references_pkey"),
        postgresql_partition_by="list (part)",
    )
    op.create_index("message_references_reference_idx", "message_references", ["reference"])


def _make_waiting() -> None:
    op.create_table(
        "waiting_receipts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("came_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("at", Timestamp, nullable=True),
        sa.Column("state", ENUM(name="receipt_state", create_type=False), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="waiting_receipts_pkey"),
        sa.CheckConstraint("(message_id is null) <> (reference is null)", name=op.f("waiting_receipts_about_check")),
    )
    op.create_index(
        "waiting_receipts_message_id_key",
        "waiting_receipts",
        ["message_id"],
        unique=True,
        postgresql_where=sa.text("message_id is not null"),
    )
    op.create_index(
        "waiting_receipts_reference_key",
        "waiting_receipts",
        ["reference", "provider"],
        unique=True,
        postgresql_where=sa.text("reference is not null"),
    )


def downgrade() -> None:
    for table in ("receipt_counters", "waiting_receipts", "message_references", "receipts"):
        op.drop_table(table)
    op.execute("drop type receipt_state")
    for name in NAMES:
        op.drop_column("ledger_totals", name)
