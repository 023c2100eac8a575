"""Which members of a mailing's filter a client does not match."""

from collections.abc import Sequence

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, Span, chosen, read_parts
from shared.domain.segments import Audience


def unmatched(connection: Connection, audience: Audience, client_id: int) -> Sequence[str] | None:
    """The names of the members, as `tags` or `exclude.tags`, because of which a client would not be chosen now.

    Empty: they would be. None: there is no such client.
    """
    wanted = chosen(audience, read_parts(connection, audience), _ONE)
    row = connection.execute(_unmatched(wanted), {**wanted.values, "client_id": client_id}).one_or_none()
    return None if row is None else [name for name, matches in zip(wanted.conditions, row, strict=True) if not matches]


_ONE = Span("cast(:client_id as bigint) - 1", "cast(:client_id as bigint)")


def _unmatched(wanted: Chosen) -> TextClause:
    parts = f"with {', '.join(wanted.parts)}" if wanted.parts else ""
    matches = ", ".join(f"({condition}) is true" for condition in wanted.conditions.values())
    return text(f"{parts} select {matches} from clients {wanted.joins} where clients.id = :client_id")
