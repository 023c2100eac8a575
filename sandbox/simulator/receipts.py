"""Receipts: what the simulator says later of the messages that it took. A thread of its own, on by a switch.

A message ends as its id says: of 10 ids one is undelivered, the others are delivered. What comes before, how often and
in which order depends on chance, and nothing else does.
"""

import heapq
import itertools
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import requests

_TIMEOUT = 10.0
_AGAIN = 0.5
"""Seconds until what was not taken is sent again."""


def state_of(message_id: int) -> str:
    """How it ends."""
    return "failed" if message_id % 10 == 0 else "delivered"


@dataclass(frozen=True, slots=True)
class Habits:
    """url: where they go. delay: seconds after which one is sent, up to twice that: so they are out of order. twice:
    the share that is sent a second time. interim: the share that is announced before. batch: in one request."""

    url: str
    delay: float = 0.0
    twice: float = 0.0
    interim: float = 0.0
    batch: int = 100


class Receipts:
    """`accepted` is for the thread of the provider. What is not answered with 2xx is sent again until it is."""

    def __init__(self, habits: Habits, seed: int = 0) -> None:
        self._habits = habits
        self._random = random.Random(seed)  # noqa: S311
        self._lock = threading.Condition()
        self._waiting: list[tuple[float, int, dict[str, object]]] = []
        self._number = itertools.count()
        self.sent = 0  # receipts that were taken
        threading.Thread(target=self._run, name="receipts", daemon=True).start()

    def accepted(self, message_id: int) -> None:
        habits, draw = self._habits, self._random.random
        states = ["queued"] if draw() < habits.interim else []
        states += [state_of(message_id)] * (2 if draw() < habits.twice else 1)
        with self._lock:
            for state in states:
                said = {"id": message_id, "status": state, "reason": "absent" if state == "failed" else None}
                self._push(habits.delay * (1 + draw()), said)
            self._lock.notify()

    def _push(self, wait: float, said: dict[str, object]) -> None:
        heapq.heappush(self._waiting, (time.monotonic() + wait, next(self._number), said))

    def _run(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while True:
            due = self._due()
            try:
                answer = session.post(self._habits.url, data=json.dumps(due), headers=_JSON, timeout=_TIMEOUT)
                is_taken = answer.ok
            except requests.RequestException:
                is_taken = False
            if is_taken:
                self.sent += len(due)
                continue
            with self._lock:
                for said in due:
                    self._push(_AGAIN, said)

    def _due(self) -> Sequence[dict[str, object]]:
        with self._lock:
            while True:
                now = time.monotonic()
                due: list[dict[str, object]] = []
                while self._waiting and self._waiting[0][0] <= now and len(due) < self._habits.batch:
                    due.append(heapq.heappop(self._waiting)[2])
                if due:
                    return due
                self._lock.wait(self._waiting[0][0] - now if self._waiting else None)


_JSON = {"Content-Type": "application/json"}
