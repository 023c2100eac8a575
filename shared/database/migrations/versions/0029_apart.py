"""Mailings that stand apart, and keys of the scope `test`.

Made while the processes run: the columns have constant defaults, so no row is written anew; indexes are made beside the
traffic, each before the one that it takes the place of goes.
"""

from alembic import op

from shared.database.migrations.patience import alter, patiently

revision = "0029"
down_revision = "0028"

_COLUMNS = {"test": "boolean not null default false", "trial_of": "bigint"}
_APART = "(test or trial_of is not null)"
_INDEXES = {
    "mailings_hidden_idx": f"(id) where finished_at is null and (deleted_at is not null or {_APART})",
    "mailings_live_idx": "(id) where deleted_at is null and not test and trial_of is null",
    "mailings_test_idx": "(id) where test and trial_of is null and deleted_at is null",
    "mailings_apart_idx": f"(id) where {_APART}",
    "mailings_trial_of_id_idx": "(trial_of, id) where trial_of is not null",
}
_TAKEN_PLACES = {
    "mailings_deleted_idx": "deleted_at is not null and finished_at is null",
    "mailings_listed_idx": "deleted_at is null",
}


_SCOPES = ("api_keys_api_keys_scope_check_check", "api_keys_scope_check")
"""What the constraint was called, and is from now on."""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        alter("mailings", ", ".join(f"add column if not exists {name} {kind}" for name, kind in _COLUMNS.items()))
        for name, columns in _INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on mailings {columns}")
        for name in _TAKEN_PLACES:
            op.execute(f"drop index concurrently if exists {name}")
        _make_key_of_references_anew()
        gone = ", ".join(f"drop constraint if exists {name}" for name in _SCOPES)
        alter("api_keys", f"{gone}, {_scopes('read', 'test', 'write', 'admin')}")


def _make_key_of_references_anew() -> None:
    """Those of tests are others than those of what is really sent. It is there under its name at every moment."""
    op.execute("drop index concurrently if exists mailings_reference_new")
    op.execute("""
        create unique index concurrently mailings_reference_new on mailings (reference, reference_owner, test)
        where reference is not null
    """)
    patiently("""
        do $$ begin
            drop index mailings_reference_key;
            alter index mailings_reference_new rename to mailings_reference_key;
        end $$
    """)


def _scopes(*scopes: str) -> str:
    return f"add constraint {_SCOPES[-1]} check (scope in ({', '.join(map(repr, scopes))}))"


def downgrade() -> None:
    """What stands apart would be sent to the provider and counted: nobody is to see it, and nothing more of it is
    sent. Its keys open nothing any more."""
    op.execute(f"""
        update mailings set deleted_at = coalesce(deleted_at, now()), reference = null,
            cancelled_at = case when finished_at is null then coalesce(cancelled_at, now()) else cancelled_at end
        where {_APART}
    """)
    op.execute("update api_keys set scope = 'read', revoked_at = coalesce(revoked_at, now()) where scope = 'test'")
    op.execute(f"alter table api_keys drop constraint {_SCOPES[-1]}")
    op.execute(f"alter table api_keys {_scopes('read', 'write', 'admin')}")
    for name in _INDEXES:
        op.execute(f"drop index {name}")
    op.execute(
        "create index mailings_deleted_idx on mailings (id) where deleted_at is not null and finished_at is null"
    )
    op.execute("create index mailings_listed_idx on mailings (id) where deleted_at is null")
    op.execute("drop index mailings_reference_key")
    op.execute("""
        create unique index mailings_reference_key on mailings (reference, reference_owner) where reference is not null
    """)
    for name in _COLUMNS:
        op.drop_column("mailings", name)
