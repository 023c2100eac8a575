"""How the database carries statements out, and how much it reads for them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, event


def explain(connection: Connection, statement: str | TextClause, values: Any) -> tuple[Any, str]:
    """Carries it out; the plan, and the same to be read. The caller takes back what it did. A string has its
    parameters as the driver wants them."""
    if isinstance(statement, TextClause):
        statement = str(statement.compile(dialect=connection.dialect))
    cursor = connection.connection.cursor()
    cursor.execute(f"explain (analyze, buffers, timing off, format json) {statement}", values)
    [([found],)] = cursor.fetchall()
    return found["Plan"], json.dumps(found, indent=1)


def pages(plan: Any) -> int:
    """That it touched: of tables and their indexes, each as often as it was."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def touched(plan: Any) -> Iterator[tuple[str, str]]:
    """The relations that a plan reads, each with the way."""
    if isinstance(plan, list):
        for one in plan:
            yield from touched(one)
    elif isinstance(plan, dict):
        if "Relation Name" in plan and "Node Type" in plan:
            yield plan["Relation Name"], plan["Node Type"]
        for one in plan.values():
            yield from touched(one)


@contextmanager
def planned(engine: Engine, words: str) -> Iterator[list[str]]:
    """The lines of the plans of all statements with these words that are carried out meanwhile."""
    lines: list[str] = []

    def look(_connection: object, cursor: Any, statement: str, values: Any, *_: object) -> None:
        if words in statement:
            cursor.execute("explain " + statement, values)
            lines.extend(line for (line,) in cursor.fetchall())

    event.listen(engine, "before_cursor_execute", look)
    try:
        yield lines
    finally:
        event.remove(engine, "before_cursor_execute", look)
