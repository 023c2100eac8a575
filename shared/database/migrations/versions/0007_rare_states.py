"""An index for the few messages of a mailing that were neither sent nor are open.

Made beside the traffic, which may take minutes where there are many messages, and outside a transaction. Whoever was
stopped in the middle has left an index that nobody uses: it is made anew.
"""

from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists messages_rare_idx")
        op.execute("""
            create index concurrently messages_rare_idx on messages (mailing_id, status, id)
            where status in ('failed', 'unknown', 'expired', 'cancelled')
        """)


def downgrade() -> None:
    op.drop_index("messages_rare_idx", "messages")
