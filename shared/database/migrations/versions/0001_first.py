"""The first schema: clients, mailings, messages, their counters, the reports and the table broker."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, ENUM, TIMESTAMP

revision = "0001"
down_revision = None

STATES = ("pending", "queued", "sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
Timestamp = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("phone", sa.BigInteger(), nullable=False),
        sa.Column("operator_code", sa.String(3), nullable=False),
        sa.Column("tag", sa.String(64), server_default="", nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("created_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="clients_pkey"),
        sa.UniqueConstraint("phone", name="clients_phone_key"),
        sa.CheckConstraint("phone between 70000000000 and 79999999999", name="clients_phone_check"),
    )
    op.create_table(
        "mailings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("starts_at", Timestamp, nullable=False),
        sa.Column("ends_at", Timestamp, nullable=False),
        sa.Column("operator_codes", ARRAY(sa.String(3)), server_default="{}", nullable=False),
        sa.Column("tags", ARRAY(sa.String(64)), server_default="{}", nullable=False),
        sa.Column("window_from", sa.Time(), nullable=True),
        sa.Column("window_until", sa.Time(), nullable=True),
        sa.Column("created_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("paused_at", Timestamp, nullable=True),
        sa.Column("cancelled_at", Timestamp, nullable=True),
        sa.Column("deleted_at", Timestamp, nullable=True),
        sa.Column("finished_at", Timestamp, nullable=True),
        sa.Column("audience_limit", sa.BigInteger(), nullable=True),
        sa.Column("audience_cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("audience", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("launched_at", Timestamp, nullable=True),
        sa.Column("window_changed", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("id", name="mailings_pkey"),
        sa.CheckConstraint("starts_at < ends_at", name="mailings_period_check"),
        sa.CheckConstraint("(window_from is null) = (window_until is null)", name="mailings_window_check"),
    )
    op.create_index("mailings_open_idx", "mailings", ["ends_at"], postgresql_where=sa.text("finished_at is null"))
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("mailing_id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("claim_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", Timestamp, nullable=True),
        sa.Column("sent_at", Timestamp, nullable=True),
        sa.Column("status", ENUM(*STATES, name="message_state"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="messages_pkey"),
        sa.CheckConstraint(
            "(due_at is null) = (status not in ('pending', 'queued', 'sending', 'retrying'))",
            name="messages_due_at_check",
        ),
        # Every row is updated a few times within minutes, and then never again: room for the new versions on the same
        # page, and a vacuum that starts long before a fifth of a large table is dead.
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.01,
            "autovacuum_vacuum_threshold": 20000,
            "autovacuum_vacuum_cost_delay": 0,
        },
    )
    op.create_index("messages_mailing_id_client_id_key", "messages", ["mailing_id", "client_id"], unique=True)
    op.create_index(
        "messages_due_idx",
        "messages",
        ["mailing_id", "due_at"],
        postgresql_where=sa.text("status in ('pending', 'queued', 'retrying')"),
    )
    op.create_index("messages_lease_idx", "messages", ["due_at"], postgresql_where=sa.text("status = 'sending'"))
    op.execute("create sequence claims")
    op.create_table(
        "mailing_counters",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(sa.Column(state, sa.BigInteger(), server_default="0", nullable=False) for state in STATES),
        sa.Column("first_sent_at", Timestamp, nullable=True),
        sa.Column("last_sent_at", Timestamp, nullable=True),
        sa.PrimaryKeyConstraint("mailing_id", "slot", name="mailing_counters_pkey"),
        postgresql_with={"fillfactor": 20, "autovacuum_vacuum_threshold": 500, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "tallies",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quarter", Timestamp, nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", "quarter", "slot", "name", name="tallies_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("tallies_quarter_idx", "tallies", ["quarter"])
    op.create_table(
        "reports",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sent_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="reports_pkey"),
    )
    op.create_table(
        "send_rate",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("next_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("id", name="send_rate_pkey"),
    )
    op.execute("insert into send_rate (id, next_at) values (1, now())")
    op.create_table(
        "broker_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("visible_at", Timestamp, server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("received_by", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="broker_jobs_pkey"),
        postgresql_with={"autovacuum_vacuum_threshold": 500, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_index("broker_jobs_queue_visible_at_idx", "broker_jobs", ["queue", "visible_at"])
    op.execute("create sequence broker_sessions")


def downgrade() -> None:
    for table in (
        "broker_jobs",
        "send_rate",
        "reports",
        "tallies",
        "mailing_counters",
        "messages",
        "mailings",
        "clients",
    ):
        op.drop_table(table)
    op.execute("drop sequence claims")
    op.execute("drop sequence broker_sessions")
    op.execute("drop type message_state")
