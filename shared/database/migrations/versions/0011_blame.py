"""Calls that a message does not pay for, mailings that are held back or halted, and the end of an outage.

Columns without a value for the rows that are there: nothing is rewritten. What has been accepted before is proven.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0011"
down_revision = "0010"

_TIMESTAMP = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("mailings", sa.Column("halted_at", _TIMESTAMP))
    op.add_column("mailings", sa.Column("provider_words", sa.Text()))
    op.add_column("messages", sa.Column("first_called_at", _TIMESTAMP))
    op.add_column("messages", sa.Column("last_called_at", _TIMESTAMP))
    op.create_table(
        "mailing_standings",
        sa.Column("mailing_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("proven_at", _TIMESTAMP),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("words", sa.Text()),
        sa.Column("held_until", _TIMESTAMP),
        sa.Column("holds", sa.SmallInteger(), server_default="0", nullable=False),
    )
    op.create_index(
        "mailing_standings_refused_idx",
        "mailing_standings",
        ["mailing_id"],
        postgresql_where=sa.text("proven_at is null and refusals >= 50"),
    )
    op.execute("""
        insert into mailing_standings (mailing_id, proven_at) select m.id, now() from mailings m
        where finished_at is null and exists (select from mailing_counters c where c.mailing_id = m.id and c.sent > 0)
    """)
    op.create_table(
        "provider_returns",
        sa.Column("lane", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("returned_at", _TIMESTAMP, nullable=False),
    )
    op.execute("insert into provider_returns (lane, returned_at) values (0, now())")


def downgrade() -> None:
    op.drop_table("provider_returns")
    op.drop_table("mailing_standings")
    op.drop_column("messages", "last_called_at")
    op.drop_column("messages", "first_called_at")
    op.drop_column("mailings", "provider_words")
    op.drop_column("mailings", "halted_at")
