"""The broker as a table of the database, for installations without RabbitMQ.

A job that is received is leased: it turns invisible until the lease ends, and its session extends the lease for as long
as it calls `receive`. So the jobs of a session that fell silent come again by themselves. Those of a session whose
connection is gone come again at once: every session holds an advisory lock with its number, and whoever can take that
lock takes its jobs back. A job for a retry queue is stored for message.dispatch, invisible until its delay is over.
"""

import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg2
from sqlalchemy.exc import SQLAlchemyError

from shared.broker.base import Delivery, printable
from shared.broker.topology import DEAD, DISPATCH, Queue, queues
from shared.clock import ticks
from shared.database.engine import make_engine
from shared.domain.errors import BrokerUnavailable, Unroutable

LEASE = 30.0
LOOK = 1.0  # at least this often for jobs, should a notification be lost

_SHORTEST_LOOK = 0.01  # while somebody else's transaction holds the next job
_CHANNEL = "broker_jobs"
_LOCK = 0x6A6F6273  # "jobs"; beside it the number of the session

_STORE = f"""
    with stored as (
        insert into broker_jobs (queue, body, visible_at)
        select %(queue)s, body, clock_timestamp() + %(delay)s
        from unnest(%(bodies)s::bytea[]) with ordinality as bodies (body, number)
        order by number
    )
    select pg_notify('{_CHANNEL}', %(queue)s) where %(delay)s = interval '0'
"""

_BEGIN = "select session, pg_advisory_lock(%(lock)s, session::int) from nextval('broker_sessions') as session"

# A session that holds a lock may take it once more, so our own must not be asked about.
_TAKE_BACK = """
    with leased as materialized (
        select id, received_by from broker_jobs
        where queue = any(%(queues)s) and visible_at > now() and visible_at <= now() + %(lease)s
          and received_by <> %(session)s
    ), gone as materialized (
        select session from (select distinct received_by as session from leased) others
        where pg_try_advisory_xact_lock(%(lock)s, session::int)
    )
    update broker_jobs as job set visible_at = clock_timestamp(), received_by = null
    from leased join gone on gone.session = leased.received_by
    where job.id = leased.id and job.received_by = gone.session
"""

# Queue by queue, so that each is read in the order of the index, and no further than needed.
_TAKE = """
    with ready as (
        select job.id, job.visible_at
        from unnest(%(queues)s) as wanted (queue)
        cross join lateral (
            select id, visible_at
            from broker_jobs
            where queue = wanted.queue and visible_at <= now()
            order by visible_at, id
            limit %(room)s
            for update skip locked
        ) as job
        order by job.visible_at, job.id
        limit %(room)s
    ), taken as (
        update broker_jobs
        set visible_at = clock_timestamp() + %(lease)s, received_by = %(session)s
        from ready
        where broker_jobs.id = ready.id
        returning broker_jobs.id, broker_jobs.queue, broker_jobs.body, ready.visible_at as since
    )
    select queue, body, id from taken order by since, id
"""

_NEXT = "select extract(epoch from min(visible_at) - now())::float8 from broker_jobs where queue = any(%(queues)s)"

_EXTEND = """
    update broker_jobs set visible_at = clock_timestamp() + %(lease)s
    where id = any(%(ids)s) and received_by = %(session)s
    returning id
"""

_RELEASE = f"""
    with released as (
        update broker_jobs set visible_at = clock_timestamp(), received_by = null
        where id = any(%(ids)s) and received_by = %(session)s
    )
    select pg_notify('{_CHANNEL}', '')
"""

_DELETE = "delete from broker_jobs where id = any(%(ids)s) and received_by = %(session)s"

_BURY = """
    update broker_jobs
    set queue = %(dead)s, reason = %(reason)s, visible_at = clock_timestamp(), received_by = null
    where id = %(id)s and received_by = %(session)s
"""

# Nobody receives from the dead queue: since when it may be received is since when it is there.
_FORGET = """
    with old as materialized (
        select id from broker_jobs where queue = %(dead)s and visible_at < now() - %(age)s
        order by visible_at limit %(limit)s for update skip locked
    )
    delete from broker_jobs where id = any(array(select id from old)) returning id
"""

_DEPTH = "select count(*) from broker_jobs where queue = %(queue)s and visible_at <= now()"


class TableBroker:
    """lease: seconds after which the jobs of a session that no longer answers come again."""

    def __init__(self, database_url: str, ladder: Sequence[timedelta], *, lease: float = LEASE) -> None:
        self._engine = make_engine(database_url, "broker", pool_size=1)
        self._queues = {queue.name: queue for queue in queues(ladder)}
        self._lease = lease

    def connect(self) -> "_Session":
        try:
            pooled = self._engine.raw_connection()
            connection = pooled.driver_connection
            pooled.detach()  # it lives as long as the session, outside the pool
        except (SQLAlchemyError, psycopg2.Error) as error:
            raise BrokerUnavailable(f"The database of the table broker: {_words(error)}") from error
        return _Session(connection, self._queues, self._lease)


class _Session:
    def __init__(self, connection: Any, queues: dict[str, Queue], lease: float) -> None:
        self._connection = connection
        self._queues = queues
        self._lease = lease
        self._subscribed: list[str] = []
        self._prefetch = 0
        self._handed_out: set[int] = set()  # ids of jobs not yet acked
        self._done: list[int] = []  # acked, not yet deleted
        self._leased_at = ticks()
        self._taken_back_at = 0.0
        self._failure: Exception | None = None
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._id: int | None = None
        with self._used():
            connection.autocommit = True
            self._id = self._ask(_BEGIN)[0][0]

    def subscribe(self, queues: Sequence[str], prefetch: int) -> None:
        for queue in queues:
            self._queue(queue)
        with self._used():
            self._run(f"listen {_CHANNEL}")
        self._subscribed = list(queues)
        self._prefetch = prefetch

    def receive(self, timeout: float) -> list[Delivery]:
        deadline = ticks() + timeout
        with self._used():
            while True:
                self._settle()
                self._extend()
                self._connection.notifies.clear()
                deliveries = self._take()
                left = deadline - ticks()
                if deliveries or left <= 0 or self._wait(min(left, self._next_look())):
                    return deliveries

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        target = self._queue(queue)
        if not bodies:
            return
        with self._used():
            self._settle()
            self._run(
                _STORE,
                queue=DISPATCH if target.delay else queue,
                bodies=list(bodies),
                delay=target.delay or timedelta(),
            )

    def ack(self, delivery: Delivery) -> None:
        """Deleted with the next call: an ack that is lost costs a repeat."""
        if delivery.origin is self and delivery.tag in self._handed_out:
            with self._used():
                self._handed_out.remove(delivery.tag)
                self._done.append(delivery.tag)

    def bury(self, delivery: Delivery, reason: str) -> None:
        if delivery.origin is self and delivery.tag in self._handed_out:
            with self._used():
                self._settle()
                self._run(_BURY, dead=DEAD, reason=printable(reason), id=delivery.tag)
                self._handed_out.remove(delivery.tag)

    def forget_dead(self, age: timedelta, limit: int) -> int:
        with self._used():
            self._settle()
            return len(self._ask(_FORGET, dead=DEAD, age=age, limit=limit))

    def depth(self, queue: str) -> int:
        self._queue(queue)
        with self._used():
            self._settle()
            return int(self._ask(_DEPTH, queue=queue)[0][0])

    def remember(self, number: int) -> None:
        """Not here, where a restore of the database would take it back as well."""

    def recall(self) -> int:
        return 0

    def wake(self) -> None:
        with suppress(OSError):  # it is closed, or was woken so often already that no more fits
            self._bell.send(b"!")

    def close(self) -> None:
        if not self._failure:
            with suppress(BrokerUnavailable), self._used():
                self._settle()
                if self._handed_out:
                    self._run(_RELEASE, ids=list(self._handed_out))
        self._failure = self._failure or ConnectionError("the session is closed")
        with suppress(psycopg2.Error):
            self._connection.close()
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Raises BrokerUnavailable when the connection is gone, before or during the block."""
        if not self._failure:
            try:
                yield
                return
            except (psycopg2.Error, OSError) as error:
                self._failure = error
        raise BrokerUnavailable(f"The database of the table broker: {_words(self._failure)}") from self._failure

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            raise Unroutable(f"There is no queue {name!r}.")
        return self._queues[name]

    def _settle(self) -> None:
        if self._done:
            self._run(_DELETE, ids=self._done)
            self._done = []

    def _extend(self) -> None:
        """Every third of a lease. What another session has taken meanwhile is ours no more."""
        now = ticks()
        if not self._handed_out:
            self._leased_at = now
        elif now - self._leased_at > self._lease / 3:
            kept = self._ask(_EXTEND, ids=list(self._handed_out))
            self._handed_out = {row[0] for row in kept}
            self._leased_at = now

    def _take(self) -> list[Delivery]:
        room = self._prefetch - len(self._handed_out)
        if room <= 0 or not self._subscribed:
            return []
        self._take_back()
        deliveries = [
            Delivery(queue, bytes(body), tag, self)
            for queue, body, tag in self._ask(_TAKE, queues=self._subscribed, room=room)
        ]
        self._handed_out.update(delivery.tag for delivery in deliveries)
        return deliveries

    def _take_back(self) -> None:
        """What sessions had that are gone."""
        now = ticks()
        if now - self._taken_back_at >= min(LOOK, self._lease / 3):
            self._taken_back_at = now
            self._run(_TAKE_BACK, queues=self._subscribed)

    def _next_look(self) -> float:
        """Seconds until there may be a job that nobody will announce."""
        longest = min(LOOK, self._lease / 3)
        if not self._subscribed or len(self._handed_out) >= self._prefetch:
            return longest
        soonest = self._ask(_NEXT, queues=self._subscribed)[0][0]
        return longest if soonest is None else min(max(soonest, _SHORTEST_LOOK), longest)

    def _wait(self, seconds: float) -> bool:
        """Until something happens; whether that was a `wake`."""
        if self._connection.notifies:  # it came with the answer to a statement
            return False
        ready = {key.fileobj for key, _ in self._selector.select(seconds)}
        if self._connection in ready:
            self._connection.poll()
        if self._alarm in ready:
            self._alarm.recv(4096)
            return True
        return False

    def _run(self, statement: str, **values: Any) -> None:
        self._ask(statement, **values)

    def _ask(self, statement: str, **values: Any) -> list[Any]:
        values |= {"session": self._id, "lease": timedelta(seconds=self._lease), "lock": _LOCK}
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


def _words(error: BaseException) -> str:
    """The first line: the others repeat the statement."""
    return (str(error).splitlines() or [repr(error)])[0]
