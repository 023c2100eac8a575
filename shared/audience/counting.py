"""How many clients an audience has."""

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, chosen, read_parts
from shared.domain.segments import Audience


def count_clients(connection: Connection, audience: Audience) -> int:
    """Now. It may take long, and is bounded by the time-out of the transaction."""
    wanted = chosen(audience, read_parts(connection, audience))
    number: int = connection.execute(_count(wanted), wanted.values).scalar_one()
    return number


def _count(wanted: Chosen) -> TextClause:
    parts = f"with {', '.join(wanted.parts)}" if wanted.parts else ""
    return text(f"{parts} select count(*) from clients {wanted.joins} where {wanted.condition}")
