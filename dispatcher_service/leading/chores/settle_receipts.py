"""Receipts that came before their time are taken when it has come."""

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.domain.receipt import ReceiptState
from shared.messages.receipts import settle_receipts


class SettleReceipts(Chore):
    """Goes through the receipts that are kept, slice by slice and again and again: those of messages that are still
    open, and those by a reference that nobody knew. Where there are none it costs a look at an empty table."""

    name = "settle_receipts"
    pause = 0.2

    def __init__(self) -> None:
        super().__init__()
        metrics.begin(metrics.RECEIPTS_SETTLED, (*ReceiptState, "forgotten"))
        self._after = 0

    def work(self, step: Step) -> bool | None:
        after = self._after
        done = step.acts.run(self.name, None, lambda connection, entries: settle_receipts(connection, entries, after))
        if done is None:
            return None
        self._after = done.last or 0
        for state, number in done.taken.states.items():
            metrics.RECEIPTS_SETTLED.labels(state).inc(number)
        metrics.RECEIPTS_SETTLED.labels("forgotten").inc(done.forgotten)
        return False
