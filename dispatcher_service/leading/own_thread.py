"""A thread of the leader that works on one connection after the other."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from sqlalchemy.exc import SQLAlchemyError

from shared.database.engine import first_line
from shared.logs import logger
from shared.loop import keep_serving


class OwnThread(ABC):
    """`start`, `stop` and `join` from other threads; what begins with an underscore is the thread's own.

    name: of the thread. loss: how it shows that the connection is lost. told_as: what the log says then.
    """

    name: ClassVar[str]
    loss: ClassVar[type[Exception]] = SQLAlchemyError
    told_as: ClassVar[str]

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """It ends between two steps."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def run(self) -> None:
        """Until it is stopped."""
        keep_serving(self._serve, self.loss, self._lost, is_over=self._stopping.is_set, wait=self._stopping.wait)

    @abstractmethod
    def _serve(self, all_is_well: Callable[[], None]) -> None:
        """Connects and works, as `keep_serving` has it."""

    def _lost(self, error: Exception, pause: float) -> None:
        logger().warning(self.told_as, error=first_line(error), again_in=round(pause, 1))
