"""Messages are kept in parts. The table that is there becomes the first one, and none of its rows is copied.

What takes long is made before that, outside a transaction, and may be repeated: whoever was stopped in the middle
begins again, and the table is the one that it was. Where it is empty it is made anew, with its columns in a better
order. The processes are to be stopped: what is launched meanwhile by one that was forgotten is in the part as well.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ENUM, TIMESTAMP

revision = "0008"
down_revision = "0007"

Timestamp = TIMESTAMP(timezone=True)
STATES = ("pending", "queued", "sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
WAITING = "status in ('pending', 'queued', 'retrying')"
HELD = "status = 'sending'"
RARE = "status in ('failed', 'unknown', 'expired', 'cancelled')"
STORAGE = (
    "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000,"
    " autovacuum_vacuum_cost_delay = 0"
)

INDEXES = {
    "messages_1_client_id_mailing_id_key": ("unique", "(client_id, mailing_id)"),
    "messages_1_mailing_id_lane_due_at_id_idx": ("", f"(mailing_id, lane, due_at, id) where {WAITING}"),
}
"""Named as those of a part that is made later."""


def upgrade() -> None:
    # Of no effect where rows are: what is long has an end of the transaction in it. Where none are, none come.
    op.execute("lock table messages in share row exclusive mode")
    is_empty = not op.get_bind().scalar(sa.text("select exists (select from messages)"))
    if not is_empty:
        _prepare()
    op.execute("create sequence message_ids")
    op.execute("select setval('message_ids', last_value, is_called) from messages_id_seq")
    _know_where_messages_are()
    if is_empty:
        op.drop_table("messages")
        _make_messages()
        op.execute("create table messages_1 (like messages including all)")
        op.execute(f"alter table messages_1 add primary key (id), add unique (client_id, mailing_id), set ({STORAGE})")
    else:
        _set_aside()
        _make_messages()
    op.execute("alter table messages attach partition messages_1 for values in (1)")
    op.execute("alter table messages_1 drop constraint if exists messages_1_part_check")
    _make_attempts()


def _prepare() -> None:
    """All that takes long: what is left for the last step is done at once."""
    with op.get_context().autocommit_block():
        op.execute("""
            alter table messages
                add column if not exists part integer not null default 1,
                add column if not exists lane smallint not null default 0,
                add column if not exists phone bigint,
                add column if not exists calls smallint not null default 0
        """)
        # Each condition on the state is that of a partial index: what is final stays as it is.
        for states in (WAITING, HELD):
            op.execute(f"""
                update messages m set phone = (select phone from clients where id = m.client_id), calls = attempts
                where {states} and phone is null
            """)
        for name, (kind, columns) in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create {kind} index concurrently {name} on messages {columns}")
        # Known to be so, it need not be looked at when the table becomes a part.
        op.execute("alter table messages drop constraint if exists messages_1_part_check")
        op.execute("alter table messages add constraint messages_1_part_check check (part = 1) not valid")
        op.execute("alter table messages validate constraint messages_1_part_check")


def _know_where_messages_are() -> None:
    """A launch gave the ids in the order of the clients."""
    op.create_table(
        "parts",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", Timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("closed_at", Timestamp, nullable=True),
        sa.PrimaryKeyConstraint("number", name="parts_pkey"),
    )
    op.execute("insert into parts (number) values (1)")
    op.add_column("mailings", sa.Column("part", sa.Integer(), nullable=True))
    op.add_column("mailings", sa.Column("first_message_id", sa.BigInteger(), nullable=True))
    op.add_column("mailings", sa.Column("last_message_id", sa.BigInteger(), nullable=True))
    op.execute("""
        update mailings g set part = 1,
            first_message_id = (select id from messages where mailing_id = g.id order by client_id limit 1),
            last_message_id = (select id from messages where mailing_id = g.id order by client_id desc limit 1)
        where audience_limit is not null or audience > 0
    """)
    op.create_index(
        "mailings_message_ids_idx",
        "mailings",
        [sa.text("int8range(first_message_id, last_message_id, '[]')")],
        postgresql_using="gist",
        postgresql_where=sa.text("first_message_id is not null"),
    )
    op.create_index(
        "mailings_part_idx",
        "mailings",
        ["part"],
        postgresql_where=sa.text("finished_at is null and part is not null"),
    )


def _set_aside() -> None:
    """The table that is there, as a part has to be."""
    for statement in (
        _RENAME_CHECK,
        "alter table messages rename to messages_1",
        "alter table messages_1 alter id drop identity",
        "alter table messages_1 alter id set default nextval('message_ids')",
        "alter table messages_1 alter part drop default",
        f"alter table messages_1 set ({STORAGE})",
        "drop index messages_mailing_id_client_id_key",
        "drop index messages_due_idx",
        "alter table messages_1 rename constraint messages_pkey to messages_1_pkey",
        "alter table messages_1 add constraint messages_1_client_id_mailing_id_key"
        " unique using index messages_1_client_id_mailing_id_key",
        "alter index messages_lease_idx rename to messages_1_due_at_idx",
        "alter index messages_rare_idx rename to messages_1_mailing_id_status_id_idx",
    ):
        op.execute(statement)


_RENAME_CHECK = """
    do $$ declare known text; begin
        select conname into known from pg_constraint
        where conrelid = 'messages'::regclass and contype = 'c' and conname like '%due_at%';
        if known <> 'messages_due_at_check' then
            execute format('alter table messages rename constraint %I to messages_due_at_check', known);
        end if;
    end $$
"""
"""A part has its constraints under the names of the whole."""


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), server_default=sa.text("nextval('message_ids')"), nullable=False),
        sa.Column("mailing_id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("phone", sa.BigInteger(), nullable=True),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("claim_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", Timestamp, nullable=True),
        sa.Column("sent_at", Timestamp, nullable=True),
        sa.Column("status", ENUM(*STATES, name="message_state", create_type=False), nullable=False),
        sa.Column("calls", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("maybe_delivered", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("error", sa.String(32), nullable=True),
        sa.CheckConstraint(
            "(due_at is null) = (status not in ('pending', 'queued', 'sending', 'retrying'))",
            name=op.f("messages_due_at_check"),
        ),
        postgresql_partition_by="list (part)",
    )
    op.create_index(
        "messages_due_idx",
        "messages",
        ["mailing_id", "lane", "due_at", "id"],
        postgresql_where=sa.text(WAITING),
    )
    op.create_index("messages_lease_idx", "messages", ["due_at"], postgresql_where=sa.text(HELD))
    op.create_index("messages_rare_idx", "messages", ["mailing_id", "status", "id"], postgresql_where=sa.text(RARE))


def _make_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Timestamp, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("error", sa.String(32), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "part", "number", name="attempts_pkey"),
        sa.CheckConstraint("octet_length(words) <= 300", name=op.f("attempts_words_check")),
        postgresql_partition_by="list (part)",
    )
    op.execute("create table attempts_1 partition of attempts for values in (1)")


def downgrade() -> None:
    """All messages are copied into one table."""
    columns = "id, mailing_id, client_id, claim_id, due_at, sent_at, status, attempts, error, maybe_delivered"
    for statement in (
        "drop table attempts",
        "alter table messages rename to parted",
        f"create table messages with ({STORAGE.replace('50', '70', 1)}) as select {columns} from parted order by id",
        "drop table parted",
        """
        alter table messages
            add constraint messages_pkey primary key (id),
            add constraint messages_due_at_check
                check ((due_at is null) = (status not in ('pending', 'queued', 'sending', 'retrying'))),
            alter mailing_id set not null, alter client_id set not null, alter status set not null,
            alter attempts set not null, alter attempts set default 0,
            alter maybe_delivered set not null, alter maybe_delivered set default false,
            alter id add generated by default as identity
        """,
        "select setval('messages_id_seq', last_value, is_called) from message_ids",
        "drop sequence message_ids",
        "create unique index messages_mailing_id_client_id_key on messages (mailing_id, client_id)",
        f"create index messages_due_idx on messages (mailing_id, due_at) where {WAITING}",
        f"create index messages_lease_idx on messages (due_at) where {HELD}",
        f"create index messages_rare_idx on messages (mailing_id, status, id) where {RARE}",
        "drop index mailings_part_idx",
        "drop index mailings_message_ids_idx",
        "alter table mailings drop column part, drop column first_message_id, drop column last_message_id",
        "drop table parts",
    ):
        op.execute(statement)
