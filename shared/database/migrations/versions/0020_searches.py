"""Who began an import stands in its row, and indexes for what lists of clients, changes and imports are filtered by.

The indexes are made beside the traffic, which may take minutes where there are millions of clients, and outside a
transaction. Whoever was stopped in the middle does all of it again. An import that is under way in an older process has
nobody in its row, and leaves no line in the audit if that process dies.
"""

from alembic import op

from shared.database.migrations.patience import alter

revision = "0020"
down_revision = "0016"

_INDEXES = {
    "imports_running_idx": "imports (id) where ended_at is null",
    "clients_tag_id_idx": "clients (tag, id)",
    "clients_operator_code_id_idx": "clients (operator_code, id)",
    "clients_timezone_id_idx": "clients (timezone, id)",
    "audit_thing_id_idx": "audit (thing, id)",
    "audit_by_id_idx": "audit (by, id)",
    "audit_action_id_idx": "audit (action, id)",
    "mailings_cancelled_id_idx": "mailings (id) where cancelled_at is not null and deleted_at is null",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("imports", "add column if not exists by varchar(64), add column if not exists request_id varchar(64)")
        for name, columns in _INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {columns}")


def downgrade() -> None:
    for name, columns in _INDEXES.items():
        op.drop_index(name, columns.split()[0])
    for column in ("request_id", "by"):
        op.drop_column("imports", column)
