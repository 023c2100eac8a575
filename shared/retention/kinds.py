"""What else is removed, each with its own days: one entry in `KINDS`.

A kind joins with the statement that finds what is old and the one that removes the next slice of it. Where
RETENTION_DAYS is 0 nothing is removed, of no kind.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, TextClause, text

from shared.audience.named import NAMED_IMPORTS
from shared.domain.retention import FORMER_PHONES_DAYS, IMPORTS_DAYS, REFUSED_LINES_DAYS

SLICE = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are removed some time after their end.

    name: in the metric and in the log. days: after which they go. what: a sentence for people, in the plural.
    find: how many there are, by `:age`. remove: the next of them, at most `:slice`. lock: gives the ids of the next
    ones first, and holds them, where `remove` has to see what others have made of them by then; it gets them as `:ids`.
    """

    name: str
    days: int
    what: str
    find: TextClause
    remove: TextClause
    lock: TextClause | None = None

    @property
    def age(self) -> timedelta:
        return timedelta(days=self.days)


def _kind(name: str, days: int, what: str, condition: str, table: str | None = None) -> Kind:
    """table: where it is not the name."""
    table = table or name
    return Kind(
        name,
        days,
        what,
        text(f"select count(*) from {table} where {condition}"),
        text(f"delete from {table} where id = any(:ids) and {condition}"),
        text(f"select id from {table} where {condition} order by id limit :slice for update skip locked"),
    )


DEAD_JOBS = "dead_jobs"
DEAD_JOBS_DAYS = 30
"""Of either broker, which removes them itself (`shared.broker.base.Session.forget_dead`)."""

# One step of an index for each import that there is anything of: there are thousands of them, and millions of rows.
_OF_NOBODY = """
    recursive listed (import_id) as (
        select min(import_id) from import_clients
        union all
        select (select min(import_id) from import_clients c where c.import_id > listed.import_id)
        from listed where import_id is not null
    ), of_nobody as (
        select import_id from listed
        where import_id is not null and not exists (select from imports where id = listed.import_id)
    )
"""

KINDS = (
    # One that nobody has heard of for so long was broken off.
    _kind(
        "imports",
        IMPORTS_DAYS,
        "imports of clients",
        f"coalesce(ended_at, heard_at) <= now() - :age and id not in ({NAMED_IMPORTS})",
    ),
    # An import goes first: whoever finds it finds all of this.
    Kind(
        "import_clients",
        IMPORTS_DAYS,
        "lists of whom an import took",
        text(f"""
            with {_OF_NOBODY} select count(*) from import_clients where import_id in (select import_id from of_nobody)
        """),
        text(f"""
            with {_OF_NOBODY} delete from import_clients where ctid = any(array(
                select place from of_nobody n cross join lateral (
                    select ctid as place from import_clients where import_id = n.import_id limit :slice
                ) c limit :slice))
        """),
    ),
    _kind("refused_lines", REFUSED_LINES_DAYS, "refused lines of imports", "made_at <= now() - :age"),
    _kind("suppression_files", REFUSED_LINES_DAYS, "files of suppressions", "taken_at <= now() - :age"),
    _kind("former_phones", FORMER_PHONES_DAYS, "phones that clients had before", "until <= now() - :age"),
    Kind(
        "mailing_moments",
        365,
        "moments at which it was noted how far a mailing was",
        text("select count(*) from mailing_moments where at <= now() - :age"),
        text("""
            delete from mailing_moments where ctid = any(array(
                select ctid from mailing_moments where at <= now() - :age limit :slice))
        """),
    ),
    _kind("keys", 365, "keys revoked or expired", "least(revoked_at, expires_at) <= now() - :age", "api_keys"),
    _kind("people", 365, "people who did not sign in any more", "signed_in_at <= now() - :age"),
)


def count_old(connection: Connection, kind: Kind) -> int:
    return connection.scalar(kind.find, {"age": kind.age}) or 0


def remove_old(connection: Connection, kind: Kind) -> int:
    """Removes the next SLICE at the most; how many."""
    values: dict[str, Any] = {"age": kind.age, "slice": SLICE}
    if kind.lock is not None:
        values["ids"] = connection.scalars(kind.lock, values).all()
    return connection.execute(kind.remove, values).rowcount
