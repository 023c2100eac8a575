"""Mailings that were hinted at, and of which nothing is due, are left alone until the next of their messages is."""

from collections.abc import Callable, Sequence

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act
from shared.messages.hints import settle_hints

SETTLE_SLICE = 500

Offer = Callable[[Sequence[tuple[int, int]]], None]


class SettleHints(Chore):
    """Sets their hints anew, and offers those of which all is final to be finished. Not in every step, since each
    message that becomes final leaves a hint."""

    name = "settle_hints"
    pause = 0.1

    def __init__(self, offer: Offer) -> None:
        """offer: takes mailings that can be finished by their counters, ids and audiences. One that is not finished
        soon after is offered again: its hint comes again."""
        super().__init__()
        self._offer = offer

    def work(self, step: Step) -> bool | None:
        quiet = [mailing.id for mailing in step.mailings if mailing.is_quiet]
        for start in range(0, len(quiet), SETTLE_SLICE):
            candidates = step.acts.run(self.name, None, _settling(quiet[start : start + SETTLE_SLICE]))
            if candidates is None:
                return None
            if candidates:
                self._offer(candidates)
        return False


def _settling(mailing_ids: Sequence[int]) -> Act[list[tuple[int, int]]]:
    return lambda connection, _: settle_hints(connection, mailing_ids)
