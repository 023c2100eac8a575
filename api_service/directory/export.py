"""The directory as a file, in the columns that an import takes: what was exported comes back unchanged."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select, text

from api_service.directory import store
from api_service.web import export
from api_service.web.work import Work
from shared.database.lines import Cell, Column, Style, as_line, as_rows
from shared.database.models import Client

COLUMNS = {
    "operator_code": Column("c.operator_code"),
    "tag": Column("c.tag", Cell.WORDS),
    "timezone": Column("c.timezone", Cell.WORDS),
    "attributes": Column("c.attributes", Cell.OBJECT),
    "phone": Column("cast(c.phone as text)"),
}
"""The phone comes last, and what may be long is in quotes: so a line that is cut off anywhere is refused by an import,
and nobody gets half of what was known of them."""

_WHOLE = {"id": Column("c.id")} | COLUMNS | {"reference": Column("c.reference"), "revision": Column("c.revision")}


def pages(work: Work, filters: Mapping[str, Any], style: Style) -> Iterator[str]:
    """The lines of all clients that match, in the order of ids, page by page. filters: as those of a list.

    Who is changed or added while it is read is in it as they were, or as they are.
    """
    chosen = store.matching(filters, work.actor.owner).order_by(Client.id).limit(export.ROWS)
    last: int | None = 0
    while last is not None:
        page = chosen.where(Client.id > last).cte("c")
        with work.read() as session:
            lines, end, seen = session.execute(select(_LINES, _LAST, _SEEN).select_from(page), style._asdict()).one()
        last = end if seen == export.ROWS else None
        if lines is not None:
            yield lines


_LINES = text(f"""
    (select string_agg(line, :between) from (
        select {as_line(COLUMNS)} as line from c {as_rows(COLUMNS, _WHOLE)} order by c.id
    ) page) as lines
""")
_LAST, _SEEN = text("max(c.id) as last"), text("count(*) as seen")
