"""What every process of the API does now and then beside its requests."""

from abc import ABC, abstractmethod
from typing import ClassVar

from sqlalchemy import Engine

from shared.clock import ticks


class Chore(ABC):
    """pause: seconds from one time to the next, where nothing is left."""

    pause: ClassVar[float]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_at = 0.0  # in ticks

    def look(self) -> None:
        """Does it, if it is time for it. Raises SQLAlchemyError."""
        if ticks() < self._next_at:
            return
        self._next_at = ticks() + self.pause  # also where it fails: no need to say that every second
        if self._work():
            self._next_at = 0.0

    @abstractmethod
    def _work(self) -> bool:
        """Whether there is more to do at once."""
