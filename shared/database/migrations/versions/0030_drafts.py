"""Names, drafts and retries of mailings, and what of them waits for what.

Made while the processes run. A draft is set aside, as what is paused and closed: no dispatcher of the version before
launches one. The index of what is not finished is made anew without drafts, and takes the place of the old one; until
it has, and for a dispatcher of the version before, the key of the table does.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

from shared.database.migrations.patience import alter, patiently

revision = "0030"
down_revision = "0029"

_COLUMNS = {
    "name": "varchar(100) not null default ''",
    "name_key": "text not null default ''",
    "draft": "boolean not null default false",
    "retry_of": "bigint",
    "retry_root": "bigint",
    "retry_states": "text[] not null default '{}'",
    "retry_errors": "text[] not null default '{}'",
}
_OF_COUNTERS = {
    "pace_count": "double precision not null default 0",
    "pace_seconds": "double precision not null default 0",
    "paced_at": "timestamptz",
}
_CHECKS = {
    "times": "draft or starts_at is not null and ends_at is not null",
    "draft": "not draft or paused_at is not null and closed_at is not null",
}
_INDEXES = {
    "mailings_to_start_idx": "mailings (id) where finished_at is null and launched_at is null and cancelled_at is null",
    "mailings_name_key_id_idx": "mailings (name_key text_pattern_ops, id)",
    "mailings_retry_of_id_idx": "mailings (retry_of, id) where retry_of is not null",
    "mailings_retry_root_id_idx": "mailings (retry_root, id) where retry_root is not null",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("mailings", _added(_COLUMNS))
        alter("mailing_counters", _added(_OF_COUNTERS))
        for name, condition in _CHECKS.items():
            check = f"mailings_{name}_check"
            alter(
                "mailings", f"drop constraint if exists {check}, add constraint {check} check ({condition}) not valid"
            )
            patiently(f"alter table mailings validate constraint {check}")
        alter("mailings", "alter column starts_at drop not null, alter column ends_at drop not null")
        for name, columns in _INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {columns}")
        op.execute("drop index concurrently if exists mailings_unfinished_new_idx")
        op.execute("""
            create index concurrently mailings_unfinished_new_idx on mailings (id)
            where finished_at is null and not draft
        """)
        patiently("drop index if exists mailings_unfinished_idx")
        patiently("alter index mailings_unfinished_new_idx rename to mailings_unfinished_idx")

    op.create_table(
        "mailing_openings",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("opens_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", "slot", "opens_at", name="mailing_openings_pkey"),
    )


def _added(columns: dict[str, str]) -> str:
    return ", ".join(f"add column if not exists {name} {kind}" for name, kind in columns.items())


def downgrade() -> None:
    """A draft is a mailing that was cancelled."""
    op.execute("""
        update mailings set cancelled_at = coalesce(cancelled_at, now()), finished_at = coalesce(finished_at, now()),
            starts_at = coalesce(starts_at, ends_at - interval '1 s', created_at),
            ends_at = coalesce(ends_at, greatest(starts_at, created_at) + interval '1 s')
        where draft
    """)
    for name in _CHECKS:
        op.drop_constraint(f"mailings_{name}_check", "mailings")
    for name in ("starts_at", "ends_at"):
        op.alter_column("mailings", name, nullable=False)
    for name in (*_INDEXES, "mailings_unfinished_idx"):
        op.drop_index(name, "mailings")
    op.execute("create index mailings_unfinished_idx on mailings (id) where finished_at is null")
    for name in _COLUMNS:
        op.drop_column("mailings", name)
    op.drop_table("mailing_openings")
    for name in _OF_COUNTERS:
        op.drop_column("mailing_counters", name)
