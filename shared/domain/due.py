"""What is due, as it is read: in the order of (due_at, id). Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class Position(NamedTuple):
    """Of a message in its lane."""

    due_at: datetime
    id: int


class Group(NamedTuple):
    """Ids that are due since the same moment, ascending."""

    due_at: datetime
    ids: Sequence[int]
