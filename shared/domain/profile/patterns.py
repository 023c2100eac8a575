"""Regular expressions in profiles, in an engine whose time grows with the text and not beyond it. Pure."""

from collections.abc import Callable


def searcher(pattern: str) -> Callable[[bytes], bytes | None]:
    """Finds the first group of a pattern in a text in UTF-8, or all that matched where it has none."""
    raise NotImplementedError
