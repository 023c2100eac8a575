"""Regular expressions in profiles, by RE2: their time grows with the text and not beyond it. Pure."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20  # bytes, of the compiled pattern; one that needs more is refused

LONGEST = 500
"""Characters of a pattern."""


def check(pattern: str) -> None:
    """Raises ValueError with the end of a sentence."""
    if len(pattern) > LONGEST:
        raise ValueError(f"must have {LONGEST} characters at the most")
    try:
        _compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ValueError(f"must be a regular expression of RE2, without references and looking around: {why}") from None


def searcher(pattern: str) -> Callable[[bytes], bytes | None]:
    """Finds in a text in UTF-8 the first group of a pattern, or all that matches where it has none; None: it does not
    match."""
    compiled = _compiled(pattern)
    group = min(1, compiled.groups)

    def search(text: bytes) -> bytes | None:
        found = compiled.search(text)
        return (found[group] or b"") if found else None

    return search


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern.encode(), options=_OPTIONS)
