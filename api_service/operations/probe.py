"""A question to a dependency whose answer is never waited for longer than a deadline."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer

from shared import clock, logs

_log = logs.logger()


class Probe:
    """Asks on a thread of its own, one question at a time, and believes an answer for a moment: so neither a dependency
    that hangs nor a crowd of askers ties up more than that one thread."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], object],
        *,
        timeout: float = 2.0,
        fresh: float = 1.0,
        is_needed: bool = True,
    ) -> None:
        """ask: returns when the dependency answers, raises when it does not. timeout, fresh:
        seconds. is_needed: whether nothing works without it."""
        self.is_needed = is_needed
        self._name, self._ask, self._timeout, self._fresh = name, ask, timeout, fresh
        self._lock = threading.Lock()
        self._question: Future[None] | None = None
        self._answered_at = 0.0

    def ask(self) -> Future[None]:
        """Does not wait: several probes can be asked at the same time."""
        with self._lock:
            question = self._question
            if question is None or (question.done() and clock.ticks() - self._answered_at > self._fresh):
                question = self._question = Future()
                threading.Thread(target=self._put, args=(question,), name=f"probe-{self._name}", daemon=True).start()
            return question

    def answers(self) -> bool:
        try:
            self.ask().result(self._timeout)
        except NoAnswer:
            return False
        except Exception as error:
            _log.warning("dependency_unavailable", dependency=self._name, error=type(error).__name__)
            return False
        return True

    def _put(self, question: Future[None]) -> None:
        try:
            self._ask()
        except Exception as error:
            self._answered_at = clock.ticks()
            question.set_exception(error)
        else:
            self._answered_at = clock.ticks()
            question.set_result(None)
