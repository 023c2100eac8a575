"""docs/statements.sql shows every statement that moves or counts messages, as it is sent."""

import ast
import inspect
from pathlib import Path

from dispatcher_service import statements

PAGE = Path(__file__).parents[3] / "docs/statements.sql"


def test_the_page_is_what_is_printed() -> None:
    shown = PAGE.read_text(encoding="utf-8")
    assert shown == statements.page(), "`python -m dispatcher_service.statements > docs/statements.sql`"


def test_no_statement_is_made_where_it_would_not_be_printed() -> None:
    """Inside a function, but for those that compose statements."""
    hidden = []
    for module in statements.modules():
        nodes = ast.walk(ast.parse(inspect.getsource(module)))
        for function in (node for node in nodes if isinstance(node, ast.FunctionDef)):
            if function.returns is None or ast.unparse(function.returns) != "TextClause":
                hidden += [f"{module.__name__}.{function.name}" for node in ast.walk(function) if _makes_one(node)]
    assert hidden == []


def _makes_one(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("text", "sqlalchemy.text")
