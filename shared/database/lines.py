"""Rows as lines of a file, made by the server: CSV that no spreadsheet takes for a formula, or JSON.

A page of some thousand rows comes as one text, which is several times faster than rows that the program writes one by
one. What is bound as `:format` and `:between` is a `Style`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from shared.domain.text import BEGINS_FORMULA


class Style(NamedTuple):
    """format: `csv`; anything else is JSON. between: what separates the lines."""

    format: str
    between: str


class Cell(Enum):
    """What may stand in a column of CSV."""

    PLAIN = "plain"  # nothing that would have to be put in quotes
    MOMENT = "moment"
    WORDS = "words"  # anybody's
    OBJECT = "object"  # of jsonb


class Column(NamedTuple):
    """expression: in SQL."""

    expression: str
    cell: Cell = Cell.PLAIN


def as_line(columns: Mapping[str, Column]) -> str:
    """A line, in SQL, with the columns as members or cells; to be selected from what `as_row` adds."""
    cells = ", ".join(_CELLS[column.cell].format(f'r."{name}"') for name, column in columns.items())
    return f"case :format when 'csv' then concat_ws(',', {cells}) else cast(row_to_json(r) as text) end"


def as_row(columns: Mapping[str, Column]) -> str:
    """What `as_line` reads, in SQL: joined to the rows."""
    members = ", ".join(f'{column.expression} as "{name}"' for name, column in columns.items())
    return f"cross join lateral (select {members}) r"


_SIGNS = ", ".join(f"chr({ord(sign)})" for sign in BEGINS_FORMULA)
_CELLS = {
    Cell.PLAIN: "coalesce(cast({0} as text), '')",
    Cell.MOMENT: "coalesce(cast(to_json({0}) as text), '')",  # a string of JSON is one of CSV where nothing is escaped
    Cell.WORDS: f"""
        case when {{0}} is null or {{0}} = '' then ''
             when left(ltrim({{0}}, ''''), 1) in ({_SIGNS}) then '"''' || replace({{0}}, '"', '""') || '"'
             else '"' || replace({{0}}, '"', '""') || '"' end""",
    Cell.OBJECT: """
        case when {0} = '{{}}' then '' else '"' || replace(cast({0} as text), '"', '""') || '"' end""",
}
