"""Which repetitions of one trouble are worth a line of the log. Pure."""

from dataclasses import dataclass

FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0


@dataclass(slots=True)
class _Seen:
    times: int
    quiet_until: float
    pause: float


class Complaints:
    """Lets the first one of a kind through, and then one after pauses that double. `now` never steps back."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def count(self, kind: int, now: float) -> int:
        """How often it was seen since the last line, this time included; 0: no line now. There are few kinds."""
        seen = self._seen.get(kind)
        if seen is None or now > seen.quiet_until + LONGEST_PAUSE:  # it went away, and is news again
            seen = self._seen[kind] = _Seen(0, now, FIRST_PAUSE)
        seen.times += 1
        if now < seen.quiet_until:
            return 0
        times, seen.times = seen.times, 0
        seen.quiet_until, seen.pause = now + seen.pause, min(2 * seen.pause, LONGEST_PAUSE)
        return times
