"""Whoever looks at a mailing sees how fast it goes out, and went out."""

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from shared.clock import ticks
from shared.domain.course import STEPS
from shared.ledger.entries import Entries
from shared.ledger.moments import note_moments

NOTE_EVERY = STEPS[0].total_seconds()
PART = 200


class NoteMoments(Chore):
    """Notes where the mailings stand that have moved, by their counters, every NOTE_EVERY seconds, PART of them at a
    time. What is left out is noted with the next round."""

    name = "note_moments"
    pause = 0.25

    def __init__(self) -> None:
        super().__init__()
        self._next_round_at = 0.0
        self._after = 0

    def work(self, step: Step) -> bool | None:
        if ticks() < self._next_round_at:
            return False
        after = step.acts.run(self.name, None, self._note)
        if after is None:
            return None
        self._after = after
        if not after:
            self._next_round_at = ticks() + NOTE_EVERY
        return False

    def _note(self, connection: Connection, _entries: Entries) -> int:
        """Behind which mailing the next page begins; 0: the round is over."""
        return note_moments(connection, self._after, PART) or 0
