"""Rules: which answers lead to which outcome. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.message import Error
from shared.domain.retry import OutcomeKind

EACH = "*"
"""In a path: every item of a list."""

Path = tuple[str | int, ...]


def parse_path(text: str) -> Path:
    """`messages.0.id` by its steps. Raises ValueError with the end of a sentence."""
    steps = text.split(".")
    if not all(steps) or steps.count(EACH) > 1 or len(steps) > 20:
        raise ValueError(f"must be names and places joined by dots, such as messages.0.id, with one {EACH} at the most")
    return tuple(int(step) if re.fullmatch("[0-9]{1,4}", step) else step for step in steps)


def parse_place(text: str) -> Path:
    """The path of one value. Raises ValueError as `parse_path` does."""
    path = parse_path(text)
    if EACH in path:
        raise ValueError(f"must name one place: {EACH} stands for many")
    return path


TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "list": (list,),
    "null": (type(None),),
}
"""Kinds of values in JSON. `True` is no number here, and `0.0` no integer."""


class Spot(NamedTuple):
    """Where in an answer something stands: at a path in its JSON, or in the first group of a pattern."""

    path: Path | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """All that it names must hold. statuses: of HTTP. path: what stands there in the answer's JSON is looked at, with
    EACH all of them; None: the whole answer as text. values: it is one of these. type: it is of this type. pattern: it
    matches.

    error: as what the outcome is counted; None: accepted.
    """

    statuses: frozenset[int]
    outcome: OutcomeKind
    error: Error | None
    path: Path | None = None
    values: tuple[Any, ...] | None = None
    type: str | None = None
    pattern: str | None = None


MISSING = object()


def finder(path: Path) -> Callable[[Any], Any]:
    """What stands at the path of a document; a list of all where the path has EACH; MISSING where nothing does."""
    if EACH in path:
        at = path.index(EACH)
        before, after = finder(path[:at]), finder(path[at + 1 :])

        def all_of(document: Any) -> Any:
            items = before(document)
            return [after(item) for item in items] if isinstance(items, list) and items else MISSING

        return all_of

    def one(document: Any) -> Any:
        for step in path:
            if isinstance(document, dict):
                document = document.get(str(step), MISSING)
            elif isinstance(document, list) and isinstance(step, int) and step < len(document):
                document = document[step]
            else:
                return MISSING
        return document

    return one
