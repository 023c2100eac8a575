"""What else is removed, each with its own days: one entry in `KINDS`.

A kind joins with the statement that finds what is old and the one that removes the next slice of it. Where
RETENTION_DAYS is 0 nothing is removed, of no kind.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, TextClause, text

SLICE = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are removed some time after their end.

    name: in the metric and in the log. days: after which they go. what: a sentence for people, in the plural.
    find: how many there are, by `:age`. remove: the next of them, at most `:slice`.
    """

    name: str
    days: int
    what: str
    find: TextClause
    remove: TextClause

    @property
    def age(self) -> timedelta:
        return timedelta(days=self.days)


def _kind(name: str, days: int, what: str, table: str, condition: str) -> Kind:
    return Kind(
        name,
        days,
        what,
        text(f"select count(*) from {table} where {condition}"),
        text(f"""
            with old as materialized (
                select id from {table} where {condition} order by id limit :slice for update skip locked
            )
            delete from {table} where id in (select id from old)
        """),
    )


DEAD_JOBS = "dead_jobs"
DEAD_JOBS_DAYS = 30
"""Of either broker, which removes them itself (`shared.broker.base.Session.forget_dead`)."""

KINDS = (
    # One that nobody has heard of for so long was broken off.
    _kind("imports", 90, "imports of clients", "imports", "coalesce(ended_at, heard_at) <= now() - :age"),
    _kind("keys", 365, "keys revoked or expired", "api_keys", "least(revoked_at, expires_at) <= now() - :age"),
)


def count_old(connection: Connection, kind: Kind) -> int:
    return connection.scalar(kind.find, {"age": kind.age}) or 0


def remove_old(connection: Connection, kind: Kind) -> int:
    """Removes the next SLICE at the most; how many."""
    return connection.execute(kind.remove, {"age": kind.age, "slice": SLICE}).rowcount
