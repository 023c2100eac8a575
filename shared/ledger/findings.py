"""What the check of the ledger has found and nobody has mended yet: kept for whoever leads next, and for the report."""

from collections.abc import Mapping

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

Difference = Mapping[str, int]
"""How many more the ledger has than there are, by state and for the audience."""


def read_findings(connection: Connection) -> dict[int, Difference]:
    """By mailing."""
    return {row.mailing_id: row.difference for row in connection.execute(_READ)}


_READ = text("select mailing_id, difference from ledger_findings").columns(difference=JSONB)


def keep_finding(connection: Connection, mailing_id: int, difference: Difference) -> None:
    """In the place of an older one."""
    connection.execute(_KEEP, {"mailing_id": mailing_id, "difference": dict(difference)})


_KEEP = text("""
    insert into ledger_findings (mailing_id, difference) values (:mailing_id, :difference)
    on conflict (mailing_id) do update set difference = excluded.difference, found_at = now()
""").bindparams(bindparam("difference", type_=JSONB))


def drop_finding(connection: Connection, mailing_id: int) -> None:
    """The mailing's ledger agrees with its rows. None there is harmless."""
    connection.execute(_DROP, {"mailing_id": mailing_id})


_DROP = text("delete from ledger_findings where mailing_id = :mailing_id")
