"""Phones that must not be written to, the state of messages that are left out, and clients who are being erased.

Beside the traffic, outside a transaction, and may be repeated. The index of the few messages that were neither sent nor
are open gets the new state: it is made part by part, which may take minutes, and takes the place of the old one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

from shared.database.migrations.patience import alter, patiently

revision = "0024"
down_revision = "0023"

_COUNTERS = ("mailing_counters", "ledger_totals")
_RARE = "(mailing_id, status, id) where status in ('failed', 'unknown', 'expired', 'cancelled'{more})"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("alter type message_state add value if not exists 'skipped'")
        for table in _COUNTERS:
            alter(table, "add column if not exists skipped bigint not null default 0")
        alter("clients", "add column if not exists suppression_id bigint")
        op.execute("drop index concurrently if exists clients_suppression_id_idx")
        op.execute("""
            create index concurrently clients_suppression_id_idx on clients (suppression_id)
            where suppression_id is not null
        """)
        _make_rare_anew()
    op.create_table(
        "suppressions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_version", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.String(200), server_default="", nullable=False),
        sa.Column("source", sa.String(64), server_default="", nullable=False),
        sa.Column("since", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("phone", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="suppressions_pkey"),
        sa.UniqueConstraint("digest", name="suppressions_digest_key"),
    )
    op.create_index("suppressions_phone_idx", "suppressions", ["id"], postgresql_where=sa.text("phone is not null"))
    op.create_index("suppressions_key_version_idx", "suppressions", ["key_version", "id"])
    op.create_table(
        "suppression_keys",
        sa.Column("version", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("since", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="suppression_keys_pkey"),
    )
    op.create_table(
        "former_phones",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("phone", sa.BigInteger(), nullable=False),
        sa.Column("suppression_id", sa.BigInteger(), nullable=True),
        sa.Column("until", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="former_phones_pkey"),
        sa.UniqueConstraint("client_id", "phone", name="former_phones_client_id_phone_key"),
    )
    op.create_index("former_phones_phone_idx", "former_phones", ["phone"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("phone", sa.BigInteger(), nullable=True),
        sa.Column("at", TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="erasures_pkey"),
    )


def _make_rare_anew() -> None:
    """A part that is made meanwhile has it as well, and is found by the next look."""
    bind = op.get_bind()
    if bind.scalar(sa.text(_IS_DONE)):
        return
    patiently("drop index if exists messages_skipped_idx")
    patiently(f"create index messages_skipped_idx on only messages {_RARE.format(more=_SKIPPED)}")
    while parts := bind.execute(sa.text(_WITHOUT)).all():
        for table, schema, name in parts:
            index = f"{name}_skipped_idx"
            op.execute(f"drop index concurrently if exists {schema}.{index}")
            op.execute(f"create index concurrently {index} on {table} {_RARE.format(more=_SKIPPED)}")
            patiently(f"alter index messages_skipped_idx attach partition {schema}.{index}")
    patiently("drop index messages_rare_idx")
    patiently("alter index messages_skipped_idx rename to messages_rare_idx")


_SKIPPED = ", 'skipped'"
_IS_DONE = """
    select count(*) = 1 and bool_and(pg_get_indexdef(indexrelid) like '%skipped%' and indisvalid)
    from pg_index where indrelid = 'messages'::regclass
      and indexrelid in (to_regclass('messages_rare_idx'), to_regclass('messages_skipped_idx'))
"""
_WITHOUT = """
    select part.oid::regclass::text, part.relnamespace::regnamespace::text, part.relname
    from pg_inherits of_table join pg_class part on part.oid = of_table.inhrelid
    where of_table.inhparent = 'messages'::regclass and not exists (
        select from pg_inherits of_index join pg_index i on i.indexrelid = of_index.inhrelid
        where of_index.inhparent = 'messages_skipped_idx'::regclass and i.indrelid = part.oid)
    order by part.oid
"""


def downgrade() -> None:
    """What was skipped was not to be sent, as what is cancelled. The name stays in the type, from which PostgreSQL
    takes none away."""
    op.execute("update messages set status = 'cancelled', error = null where status = 'skipped'")
    op.execute("delete from tallies where name like 'skipped.%'")
    op.execute("""
        with gone as (delete from tallies where name = 'skipped' returning *)
        insert into tallies as t (mailing_id, quarter, slot, name, count)
        select mailing_id, quarter, slot, 'cancelled', count from gone
        on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
    """)
    for table in _COUNTERS:
        op.execute(f"update {table} set cancelled = cancelled + skipped where skipped <> 0")
        op.drop_column(table, "skipped")
    op.drop_index("messages_rare_idx", "messages")
    op.execute(f"create index messages_rare_idx on messages {_RARE.format(more='')}")
    op.drop_index("clients_suppression_id_idx", "clients")
    op.drop_column("clients", "suppression_id")
    op.drop_table("erasures")
    op.drop_table("former_phones")
    op.drop_table("suppression_keys")
    op.drop_table("suppressions")
