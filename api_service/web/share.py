"""How much of a process one key may have at the same time."""

import threading
from collections import Counter


class Share:
    """Requests under way, counted by key.

    A thread is what a request holds from its beginning to its end, with a connection of the database for as long as it
    needs one. So whoever may hold half of the threads has half of the connections at most, however long their
    statements take, and the other half is there for all others.
    """

    def __init__(self, threads: int) -> None:
        """threads: of this process."""
        self.most = (threads + 1) // 2
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def enter(self, who: str) -> bool:
        """Whether one more of theirs may begin; whoever is let in has to `leave`."""
        with self._lock:
            if self._under_way[who] >= self.most:
                return False
            self._under_way[who] += 1
            return True

    def leave(self, who: str) -> None:
        with self._lock:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]
