"""What was recorded in the last seconds: a standby that takes over may not have got it."""

from collections import deque
from collections.abc import Iterable, Sequence

from shared.messages.record import Verdict

KEPT_SECONDS = 5.0
"""Before the last commit. A standby that is further behind is a backup."""

KEPT_ROWS = 20_000


class Recent:
    """Verdicts of calls that were made. Belongs to one thread."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Verdict]] = deque(maxlen=KEPT_ROWS)

    def add(self, verdicts: Iterable[Verdict], now: float) -> None:
        """These are committed now."""
        self._kept.extend((now, verdict) for verdict in verdicts if verdict.is_of_call)
        while self._kept and self._kept[0][0] < now - KEPT_SECONDS:
            self._kept.popleft()

    def besides(self, verdicts: Iterable[Verdict]) -> Sequence[Verdict]:
        """The last one of each message that none of these is about."""
        last = {verdict.message.id: verdict for _, verdict in self._kept}
        for verdict in verdicts:
            last.pop(verdict.message.id, None)
        return list(last.values())
