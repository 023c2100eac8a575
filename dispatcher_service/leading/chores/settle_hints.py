"""Mailings that were hinted at, and of which nothing is due, are left alone until the next of their messages is."""

from collections.abc import Sequence

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.chores.finish_mailings import finish_mailing
from dispatcher_service.leading.isolation import Act
from shared.messages.hints import settle_hints

SETTLE_SLICE = 500


class SettleHints(Chore):
    """Sets their hints anew, and finishes those of which all is final. Not in every step, since each message that
    becomes final leaves a hint."""

    name = "settle_hints"
    pause = 0.1

    def work(self, step: Step) -> bool | None:
        quiet = [mailing.id for mailing in step.mailings if mailing.is_quiet]
        for start in range(0, len(quiet), SETTLE_SLICE):
            candidates = step.acts.run(self.name, None, _settling(quiet[start : start + SETTLE_SLICE]))
            if candidates is None:
                return None
            for mailing_id in candidates:
                finish_mailing(step.acts, mailing_id)
        return False


def _settling(mailing_ids: Sequence[int]) -> Act[list[int]]:
    return lambda connection, _: settle_hints(connection, mailing_ids)
