"""Who is in an audience now: how many, and whether somebody is."""

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, Span, chosen, read_parts
from shared.domain.segments import Audience


def count_clients(connection: Connection, audience: Audience) -> int:
    """How many clients an audience has. In a transaction, which may bound how long it takes."""
    wanted = chosen(audience, read_parts(connection, audience))
    number: int = connection.execute(_count(wanted), wanted.values).scalar_one()
    return number


def is_chosen(connection: Connection, audience: Audience, client_id: int) -> bool:
    """Whether a client is in an audience: as the launch would choose them now."""
    wanted = chosen(audience, read_parts(connection, audience), _ONE)
    return connection.execute(_is_chosen(wanted), {**wanted.values, "client_id": client_id}).one_or_none() is not None


_ONE = Span("cast(:client_id - 1 as bigint)", "cast(:client_id as bigint)")


def _count(wanted: Chosen) -> TextClause:
    return text(f"{_with(wanted)} select count(*) from clients {wanted.joins} where {wanted.condition}")


def _is_chosen(wanted: Chosen) -> TextClause:
    return text(f"""
        {_with(wanted)} select from clients {wanted.joins} where clients.id = :client_id and {wanted.condition}
    """)


def _with(wanted: Chosen) -> str:
    return f"with {', '.join(wanted.parts)}" if wanted.parts else ""
