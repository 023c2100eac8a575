"""`python -m api_service keys …`, without a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    code: int | str | None
    out: str
    err: str


Run = Callable[..., Done]
