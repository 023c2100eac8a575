"""What only ever takes new rows cannot be changed afterwards: the register of the reports.

Grants keep the service from it (`shared.database.grants`); the trigger keeps everybody who does not mean to.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("""
        create or replace function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception 'The rows of % are never changed.', tg_table_name using errcode = 'restrict_violation';
        end
        $$
    """)
    op.execute("""
        create or replace trigger append_only before update or delete or truncate on reports
        for each statement execute function refuse_change()
    """)


def downgrade() -> None:
    op.execute("drop trigger append_only on reports")
    op.execute("drop function refuse_change()")
