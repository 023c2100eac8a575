"""What the tests of the leader share: who consumes its jobs, and who looks at what it has done."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Engine

from dispatcher_service.leading.lead import Leader
from shared.broker import topology
from shared.broker.base import Session
from shared.database.lead import LEADER_LOCK
from shared.domain.job import DispatchJob, Piece
from tests.support.books import HOUR, SECOND, Books
from tests.support.waiting import patience

LADDER = (5 * SECOND, HOUR)

Start = Callable[..., Leader]
"""Starts one more leader, as in a process of its own."""


class _Part(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> None: ...

    @property
    def is_alive(self) -> bool: ...


@contextmanager
def serving(part: _Part, engine: Engine) -> Iterator[None]:
    """The part serves, as in a process of its own, of which this is the engine."""
    part.start()
    yield
    part.stop()
    part.join(5)
    assert not part.is_alive
    engine.dispose()


class Consumer:
    """A dispatcher, as far as the feeder sees it: takes jobs, as many as it is told to, and looks at them piece by
    piece."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pieces: deque[Piece] = deque()
        session.subscribe([topology.DISPATCH], 1)

    def whole_job(self, timeout: float | None = None) -> DispatchJob | None:
        """The next one, acked. timeout: 10 seconds, and more on a busy machine."""
        deadline = time.monotonic() + (patience(10) if timeout is None else timeout)
        while (left := deadline - time.monotonic()) > 0:
            for delivery in self._session.receive(left):
                self._session.ack(delivery)
                return DispatchJob.decode(delivery.body)
        return None

    def job(self, timeout: float | None = None) -> Piece | None:
        """The next piece of one."""
        if not self._pieces and (job := self.whole_job(timeout)):
            self._pieces.extend(job)
        return self._pieces.popleft() if self._pieces else None

    def jobs(self, number: int) -> list[Piece]:
        jobs = [self.job() for _ in range(number)]
        assert None not in jobs, f"only {len([job for job in jobs if job])} pieces came"
        return [job for job in jobs if job]

    def depth(self) -> int:
        return self._session.depth(topology.DISPATCH)


def leaders(books: Books) -> list[int]:
    """The backends that hold the lock."""
    rows = books.run(
        "select pid from pg_locks join pg_database d on d.oid = database and d.datname = current_database() "
        "where locktype = 'advisory' and objid = :lock",
        lock=LEADER_LOCK,
    )
    return [row.pid for row in rows]


def mailing(books: Books, mailing_id: int) -> Any:
    return books.run("select * from mailings where id = :id", id=mailing_id)[0]
