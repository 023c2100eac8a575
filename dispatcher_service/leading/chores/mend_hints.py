"""No mailing is forgotten, even if its hints say that there is nothing to do."""

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.logs import logger
from shared.messages.hints import mend_hints

MEND_SLICE = 100


class MendHints(Chore):
    """Looks at the next MEND_SLICE mailings that are not finished: so they all have their turn, and no step takes
    longer the more there are."""

    name = "mend_hints"
    pause = 4.0

    def __init__(self) -> None:
        super().__init__()
        self._last = 0

    def work(self, step: Step) -> bool | None:
        part = step.acts.run(
            self.name, None, lambda connection, entries: mend_hints(connection, entries, self._last, MEND_SLICE)
        )
        if part is None:
            return None
        self._last = part.last
        if part.lost:
            metrics.HINTS_MENDED.inc(len(part.lost))
            logger().warning("hints_mended", mailing_ids=part.lost)
        return bool(part.lost)
