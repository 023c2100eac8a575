"""Rows as lines of a file, made by the server: CSV that no spreadsheet takes for a formula, or JSON.

A page of some thousand rows comes as one text, which is several times faster than rows that the program writes one by
one. What is bound as `:format` and `:between` is a `Style`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from shared.domain.text.shown import BEGINS_FORMULA


class Style(NamedTuple):
    """format: `csv`; `json`: objects with all that an answer has of them; anything else: with the same members as CSV.
    between: what separates the lines."""

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
    """A line, in SQL, with the columns as cells or members; to be selected from what `as_rows` adds."""
    cells = ", ".join(_CELLS[column.cell].format(f'r."{name}"') for name, column in columns.items())
    return f"""
        case :format when 'csv' then concat_ws(',', {cells})
                     when 'json' then cast(row_to_json(whole) as text) else cast(row_to_json(r) as text) end"""


def as_rows(columns: Mapping[str, Column], whole: Mapping[str, Column]) -> str:
    """What `as_line` reads, in SQL: joined to the rows. whole: all members that an answer has."""
    return f"cross join lateral ({_select(columns)}) r cross join lateral ({_select(whole)}) whole"


def _select(columns: Mapping[str, Column]) -> str:
    return "select " + ", ".join(f'{column.expression} as "{name}"' for name, column in columns.items())


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
