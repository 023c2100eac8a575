"""Whom a mailing is for. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Filter:
    """Clients that match every list, an empty one matching everybody. Sorted, nothing twice.

    imports: ids of files; those match whom one of them took.
    """

    operator_codes: Iterable[str] = ()
    tags: Iterable[str] = ()
    imports: Iterable[int] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, tuple(sorted(set(getattr(self, one.name)))))
