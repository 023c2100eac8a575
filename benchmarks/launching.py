"""What a message costs that a launch creates in one database beside another, slice by slice in turn.

A launch takes seconds, and what else the machine does in a second moves its rate by a third: a few launches of each
say nothing about a tenth. Slices of less than a tenth of a second that take turns meet the same machine. They are made
as the leader makes them, on a connection like its own, in databases that nobody leads meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from sqlalchemy import Connection, text

from benchmarks.services import query
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.session import own_connection
from shared.database.engine import make_engine
from shared.ledger.entries import Entries
from shared.ledger.slot import Slot
from shared.messages.create import Slice, create_messages

SLICES = 20
"""Of a launch, which then is cancelled."""

LONGEST_SPAN = 10_000
"""Clients of a slice."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class Launches:
    """Of one database. mailings: their ids, cancelled. rates: messages a second, of each slice. costs: microseconds of
    the session's CPU time for a message, of each launch."""

    mailings: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


def launch_in_turn(database_urls: Mapping[Key, str], span: int, times: int) -> Mapping[Key, Launches]:
    """So many launches in each of the databases. span: clients of a slice, of whom there are SLICES times as many."""
    done: dict[Key, Launches] = {key: Launches() for key in database_urls}
    for _ in range(times):
        with ExitStack() as stack:
            sides = {key: stack.enter_context(_launcher(url)) for key, url in database_urls.items()}
            for url in database_urls.values():
                query(url, "checkpoint")
            order = list(sides)
            for _ in range(SLICES):
                for key in order:
                    done[key].rates.append(span / sides[key].make(span))
                order.reverse()  # who comes first finds what the other left to be written
            for key, side in sides.items():
                done[key].mailings.append(side.mailing_id)
                done[key].costs.append(side.cpu() / (SLICES * span) * 1e6)
    return done


class _Launcher:
    """One launch."""

    def __init__(self, acts: Isolation, mailing_id: int, backend: int) -> None:
        """backend: the process that serves the connection."""
        self.mailing_id = mailing_id
        self._acts, self._backend = acts, backend
        self._before = self._cpu()

    def make(self, span: int) -> float:
        """A slice of so many messages; the seconds that it took."""

        def create(connection: Connection, entries: Entries) -> Slice:
            return create_messages(connection, entries, self.mailing_id, span)

        began = perf_counter()
        made = self._acts.run("launch", self.mailing_id, create)
        taken = perf_counter() - began
        assert made is not None
        assert made.count == span
        return taken

    def cpu(self) -> float:
        """Seconds since the launch began."""
        return self._cpu() - self._before

    def _cpu(self) -> float:
        on_cpu, *_ = Path(f"/proc/{self._backend}/schedstat").read_text(encoding="ascii").split()
        return int(on_cpu) / 1e9


@contextmanager
def _launcher(database_url: str) -> Iterator[_Launcher]:
    """Of a new mailing, which is cancelled at the end."""
    engine = make_engine(database_url, "bench", pool_size=1)
    with own_connection(engine) as connection:
        acts = Isolation(connection, Slot("bench"))
        mailing_id = acts.run("create", None, _create)
        assert mailing_id is not None
        backend = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        yield _Launcher(acts, mailing_id, backend)
        acts.run("cancel", mailing_id, partial(_cancel, mailing_id))
    engine.dispose()


def _create(connection: Connection, entries: Entries) -> int:
    entries.shown(1)
    return int(connection.scalar(_CREATE) or 0)


def _cancel(mailing_id: int, connection: Connection, entries: Entries) -> None:
    connection.execute(_CANCEL, {"mailing_id": mailing_id})
    entries.look(mailing_id)


_CREATE = text("""
    insert into mailings (text, starts_at, ends_at) values ('Sale', now(), now() + interval '1 day') returning id
""")
_CANCEL = text("update mailings set cancelled_at = now() where id = :mailing_id")
