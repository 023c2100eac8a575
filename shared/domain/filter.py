"""Whom a mailing is for. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Filter:
    """Clients that match both lists, an empty one matching everybody. Sorted, nothing twice."""

    operator_codes: Iterable[str] = ()
    tags: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name in ("operator_codes", "tags"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
