"""What the deployment of a drill stands on: servers and a directory of its own, on this machine alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.system import Place
from tests.support.database_faults import Postgres
from tests.support.wall_clock import WallClock


@dataclass(frozen=True, slots=True)
class Ground:
    """admin_url: of the database, as whoever runs it reaches it."""

    place: Place
    admin_url: str

    @property
    def directory(self) -> Path:
        return self.place.directory


@contextmanager
def own_database(broker_url: str | None = None, clock: WallClock | None = None) -> Iterator[Ground]:
    """An embedded PostgreSQL. broker_url: None: jobs travel in a table. clock: what that server believes the time to
    be."""
    with TemporaryDirectory(prefix="drill-") as directory, Postgres(clock) as postgres:
        url, admin_url = postgres.create("drill")
        yield Ground(Place(url, broker_url, Path(directory)), admin_url)
