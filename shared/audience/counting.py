"""How many clients an audience has, and about how many."""

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, chosen, read_parts
from shared.audience.drawing import DEARER, DRAWN, highest_id
from shared.domain.segments import Audience


def count_clients(connection: Connection, audience: Audience) -> int:
    """Now. It may take long, and is bounded by the time-out of the transaction."""
    wanted = chosen(audience, read_parts(connection, audience))
    number: int = connection.execute(_count(wanted), wanted.values).scalar_one()
    return number


def estimate_clients(connection: Connection, audience: Audience) -> int | None:
    """About how many, two times of three less than a tenth off, by a few thousand clients whatever the size of the
    directory. None: too few of them are of the audience to say, or there are not many more clients anyway."""
    highest = highest_id(connection)
    if highest < _DRAWS * DEARER:
        return None
    wanted = chosen(audience, read_parts(connection, audience))
    bound = {**wanted.values, "draws": _DRAWS, "highest": highest}
    found: int = connection.execute(_count(wanted, f"{DRAWN} and"), bound).scalar_one()
    return round(found * highest / _DRAWS) if found >= _ENOUGH else None


_DRAWS = 5_000
_ENOUGH = 100
"""Of those who are drawn: the error of a count by chance is its root."""


def _count(wanted: Chosen, drawn: str = "") -> TextClause:
    parts = f"with {', '.join(wanted.parts)}" if wanted.parts else ""
    return text(f"{parts} select count(*) from clients {wanted.joins} where {drawn} {wanted.condition}")
