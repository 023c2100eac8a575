"""What a deployment stands on, started for one run of the benchmark: PostgreSQL, RabbitMQ and a provider.

Each is private, on 127.0.0.1 or a Unix socket, with its files in one directory, new and empty. PostgreSQL keeps its
durable defaults, fsync among them; it gets the memory that any installation of this size would give it. RabbitMQ keeps
its own.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import make_url

from benchmarks import nginx, usage
from sandbox import debian, deployment, directory, numbering
from sandbox.processes import Processes, free_port
from tests.support import rabbitmq

POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Else a run of seconds measures checkpoints, whoever makes it."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Addresses:
    """Where a deployment finds what it stands on. broker_url: empty for the table broker."""

    database_url: str
    broker_url: str
    provider_url: str


@dataclass
class Services:
    """home: where PostgreSQL keeps its data; keeps: the next run finds them there. pids: of the services' processes, by
    name."""

    home: Path
    processes: Processes
    rabbitmq: rabbitmq.External | rabbitmq.Private
    provider_url: str
    pids: Mapping[str, int]
    _database_url: str
    keeps: bool = False
    _templates: dict[tuple[tuple[str, int], ...], str] = field(default_factory=dict)

    @contextmanager
    def addresses(
        self, groups: Mapping[str, int] | None, *, table: bool = False, provider_url: str = "", keep: str = ""
    ) -> Iterator[Addresses]:
        """A new database and an empty virtual host, for as long as the block lasts.

        groups: how many clients of each tag the directory has; None: the database is empty. table: no virtual host.
        keep: the name of a database that the next run finds as this one leaves it, if it keeps anything.
        """
        with ExitStack() as stack:
            if keep and self._is_there(keep):
                database_url = self._url(keep)
                deployment.migrate(self.processes, {"DATABASE_URL": database_url})
            else:
                database_url = self._create(self._template(groups) if groups is not None else "", keep)
            if not (keep and self.keeps):
                stack.callback(self._drop, database_url)
            broker_url = ""
            if not table:
                broker_url = self.rabbitmq.vhost()
                stack.callback(self.rabbitmq.remove, broker_url)
            yield Addresses(database_url, broker_url, provider_url or self.provider_url)

    def postgres_version(self) -> str:
        return str(query(self._database_url, "show server_version")[0][0])

    def _template(self, groups: Mapping[str, int]) -> str:
        """Made once for each directory, and copied."""
        key = tuple(groups.items())
        if key not in self._templates:
            self._templates[key] = self._create()
            prepare(self.processes, self._templates[key], groups)
        return self._templates[key]

    def _drop(self, url: str) -> None:
        query(self._database_url, f"drop database {make_url(url).database} with (force)")

    def _create(self, template: str = "", name: str = "") -> str:
        name = name or f"bench_{next(_numbers)}"
        like = f"template {make_url(template).database} strategy file_copy" if template else ""
        query(self._database_url, f"create database {name} {like}")
        return self._url(name)

    def _url(self, name: str) -> str:
        return make_url(self._database_url).set(database=name).render_as_string(hide_password=False)

    def _is_there(self, name: str) -> bool:
        return bool(query(self._database_url, "select 1 from pg_database where datname = %s", name))

    def remove_others(self) -> None:
        """What an earlier run left here and did not mean to."""
        for (name,) in query(self._database_url, "select datname from pg_database where datname ~ '^bench_[0-9]+$'"):
            self._drop(self._url(name))


@contextmanager
def started(home: Path, processes: Processes, keep: Path | None = None) -> Iterator[Services]:
    """Takes ten seconds. keep: where PostgreSQL keeps its data for the next run. Raises NotReady and NoRabbitMQ."""
    data = keep or home
    with rabbitmq.running() as broker:
        database_url = _start_postgres(processes, data)
        provider_url = _start_provider(processes, home)
        pids = {
            "postgres": int((data / "postgres" / "postmaster.pid").read_text(encoding="ascii").split()[0]),
            "rabbitmq": usage.listener(broker.url),
            "provider": processes.pid("provider"),
        }
        services = Services(data, processes, broker, provider_url, pids, database_url, keeps=keep is not None)
        services.remove_others()
        yield services


def prepare(processes: Processes, database_url: str, groups: Mapping[str, int]) -> None:
    """Our schema, and so many clients of each tag."""
    deployment.migrate(processes, {"DATABASE_URL": database_url})
    people = numbering.clients(sum(groups.values()), seed=1)
    tags = itertools.chain.from_iterable(itertools.repeat(tag, count) for tag, count in groups.items())
    directory.fill(database_url, (client._replace(tag=tag) for client, tag in zip(people, tags, strict=True)))
    query(database_url, "vacuum analyze")


def query(database_url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Carries out one statement by itself; its rows."""
    with asking(database_url) as ask:
        return ask(statement, *values)


@contextmanager
def asking(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """`query` on one connection, for what is asked again and again: a new one costs as much as fifty messages."""
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True

        def ask(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []

        yield ask


def _start_postgres(processes: Processes, home: Path) -> str:
    """Started twice: some settings are read at the start only."""
    url = deployment.start_postgres(processes, home)
    for name, value in POSTGRES.items():
        query(url, f"alter system set {name} = %s", value)
    processes.stop("postgres")
    return deployment.start_postgres(processes, home)


def _start_provider(processes: Processes, home: Path) -> str:
    """nginx; where there is none, the simulator, which takes some CPU time itself."""
    try:
        nginx.program()
    except debian.NotInstalled as error:
        print(f"The provider is the simulator: {error}")
        return deployment.start_simulator(processes, "--seed", "1", name="provider").url
    files = home / "nginx"
    files.mkdir()
    port = free_port()
    processes.start("provider", "benchmarks.nginx", {}, str(files), str(port))
    url = f"http://127.0.0.1:{port}"
    processes.wait_http("provider", f"{url}/v1/send/")
    return url
