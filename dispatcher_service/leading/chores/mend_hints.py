"""No mailing is forgotten, even if its hints say that there is nothing to do."""

from sqlalchemy import Connection

from shared import metrics
from shared.clock import ticks
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.messages.hints import mend_hints

MEND_EVERY = 0.5
MEND_SLICE = 100


class MendHints:
    """Called in every step, it looks at the next MEND_SLICE mailings that are not finished every MEND_EVERY seconds: so
    they all have their turn, and no step takes longer the more there are."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._next_at = 0.0
        self._last = 0
        self._difference = 0

    def __call__(self, connection: Connection) -> None:
        if ticks() < self._next_at:
            return
        self._next_at = ticks() + MEND_EVERY
        with connection.begin(), open_entries(connection, self._slot) as entries:
            part = mend_hints(connection, entries, self._last, MEND_SLICE)
        self._last = part.last
        self._difference += part.difference
        if not part.last:
            metrics.LEDGER_DIFFERENCE.set(self._difference)
            self._difference = 0
        if part.lost:
            metrics.HINTS_MENDED.inc(len(part.lost))
            logger().warning("hints_mended", mailing_ids=part.lost)
