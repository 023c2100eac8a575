"""What a dispatcher sees of a provider, as it tells the others. Pure."""

from typing import TypedDict


class Seen(TypedDict):
    """What a dispatcher sees of a provider.

    open: why its breaker is; None: it is closed. open_for: seconds. pace: calls per second that it was found to take;
    None: all there were. limited: it said lately that it is too much. speed: messages per second. calls, failed,
    seconds: of the last seconds; seconds: what all of these calls took. full: it takes no more now than it gets.
    """

    open: str | None
    open_for: float
    pace: float | None
    limited: bool
    speed: float
    calls: int
    failed: int
    seconds: float
    full: bool
