"""What all chores have in common: when they run, and how one sees that they do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.walk import Mailing
from shared import metrics
from shared.clock import ticks


@dataclass(frozen=True, slots=True)
class Step:
    """What a chore has to work with in one step of the leader. mailings: those that have begun, nearest end first."""

    acts: Isolation
    mailings: Sequence[Mailing]


SPELL = 0.1
"""Seconds after which a chore that goes through mailings leaves the others for the next step, so that what is due is
fed meanwhile."""


class Chore(ABC):
    """Brings to an end what nobody else would. It may be left out of a step without harm.

    name: in the metrics and the log. pause: seconds from one run to the next, when there was nothing left to do.
    """

    name: ClassVar[str]
    pause: ClassVar[float]

    def __init__(self) -> None:
        self._next_at = 0.0  # in ticks

    def run(self, step: Step) -> bool:
        """Does what there is to do, if it is time for it; whether there is more."""
        if ticks() < self._next_at:
            return False
        is_busy = self.work(step)
        if is_busy is None:
            return False  # it could not even look, and will be asked again
        self._next_at = 0.0 if is_busy else ticks() + self.pause
        metrics.CHORE_LAST_RUN.labels(self.name).set_to_current_time()
        return is_busy

    @abstractmethod
    def work(self, step: Step) -> bool | None:
        """The chore itself; whether there is more to do at once, None where it failed as a whole."""

    def in_turn(self, mailing_ids: Sequence[int], act: Callable[[int], int | None]) -> bool:
        """Does it for one mailing after the other, for a spell at the most; whether there may be more to do at once.

        act: how much it did for a mailing; None: it is set aside.
        """
        until = ticks() + SPELL
        is_busy = False
        for number, mailing_id in enumerate(mailing_ids, 1):
            is_busy |= bool(act(mailing_id))
            if ticks() >= until and number < len(mailing_ids):
                return True
        return is_busy
