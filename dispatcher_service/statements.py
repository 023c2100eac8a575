"""The statements that move messages, count, pace and remove them, as they are sent:
`python -m dispatcher_service.statements`.

docs/statements.sql keeps what it prints, so that a change of a statement can be read where it is composed of pieces.
"""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from sqlalchemy import TextClause

from dispatcher_service import leading
from shared import erasing, lanes, ledger, messages, rates, standing, suppression
from shared.retention import leftovers, parts

_PACKAGES = (messages, ledger, rates, leading)
_MODULES = (erasing, lanes, standing, suppression, leftovers, parts)


def modules() -> Iterator[ModuleType]:
    """Those that are printed."""
    for package in _PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith(".__main__"):
                yield import_module(found.name)
    yield from _MODULES


def statements() -> Iterator[tuple[str, str]]:
    """Where each stands, and what it says."""
    for module in modules():
        for node in ast.parse(inspect.getsource(module)).body:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                value = getattr(module, target.id, None) if isinstance(target, ast.Name) else None
                if isinstance(value, TextClause):
                    yield f"{module.__name__}.{ast.unparse(target)}", _lines(str(value))


def _lines(statement: str) -> str:
    """Each as far from the edge as it is deep in brackets: pieces bring the indentation of where they were written."""
    lines, depth = [], 0
    for line in filter(None, map(str.strip, statement.splitlines())):
        closing = len(line) - len(line.lstrip(")"))
        lines.append("    " * (depth - closing) + line)
        depth += line.count("(") - line.count(")")
    return "\n".join(lines)


def page() -> str:
    head = "-- Printed by `python -m dispatcher_service.statements`. What stands behind a colon is bound.\n"
    return head + "".join(f"\n-- {name}\n{statement};\n" for name, statement in statements())


if __name__ == "__main__":
    print(page(), end="")
