"""What the code says, and whether a page says it in Russian."""

import ast
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from tests.support.command import ROOT

ROOMS = ("mailings", "tracking", "directory", "access", "operations", "web")
FOLDERS = [*(ROOT / "api_service" / room for room in ROOMS), ROOT / "shared/domain", ROOT / "shared/audience"]
GAP = "\0"

_OF_THE_DOCUMENT = {"described", "_frozen", "enumerated", "set_once", "_ids", "operation", "Blueprint", "text"}
_NOT_SAID = {"metadata", "description", "gives", "sends", "answer_headers", "meaning", "advice", "sample"}
_TAG = re.compile(
    r"<(?:script|style|code|q|a|select|details|footer)\b.*?</(?:script|style|code|q|a|select|details|footer)>|<[^>]*>",
    re.DOTALL,
)
_ENGLISH = re.compile(r"[A-Za-z]{2,}(?:[ ,’']+[A-Za-z]+){2,}")


def english(html: str) -> list[str]:
    """Runs of three or more English words that a page shows."""
    return _ENGLISH.findall(unescape(_TAG.sub(" | ", html)))


def written(file: Path) -> Iterator[str]:
    """The strings of a module but those that describe it, or the API. What is filled in is a GAP."""
    return _strings(ast.parse(file.read_text(encoding="utf-8")))


def _strings(node: ast.AST) -> Iterator[str]:
    if _is_description(node):
        return
    if (found := _text(node)) is not None:
        yield found
        return
    for child in ast.iter_child_nodes(node):
        yield from _strings(child)


def _is_description(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _OF_THE_DOCUMENT
        case ast.keyword(arg=name):
            return name in _NOT_SAID
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _NOT_SAID
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value == "description" for key in keys)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(found)):
            return found
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in parts)
    return None
