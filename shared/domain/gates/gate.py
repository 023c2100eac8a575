"""What a gate is. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from shared.domain.reason import Reason
from shared.domain.text.unmade import Unmade


@dataclass(frozen=True, slots=True)
class Skip:
    """The message is left out, for good."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Wait:
    """The message is looked at again at that moment."""

    until: datetime


Stop = Skip | Wait


class Case(NamedTuple):
    """A message that is due. mailing: its row, and `now` of the database's clock. message: what the gates read of it,
    by their names. text: what would be sent, or why there is nothing to send; not read by gates that SQL can decide."""

    mailing: Any
    message: Any
    text: str | Unmade = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """stop: the rule: what stops a message here; None: it passes. reads: SQL of what the rule reads of a message `m`
    and its client `c`, by name. passes: SQL: whether a message passes; None: the text decides, which SQL does not know.
    reason: for which it skips; None: it lets messages wait, and skips none."""

    stop: Callable[[Case], Stop | None]
    reads: Mapping[str, str] = field(default_factory=dict)
    passes: str | None = None
    reason: Reason | None = None
