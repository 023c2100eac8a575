"""Rows of years: what they cost a new mailing, a client's history, and how a part of them goes."""

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import timedelta
from statistics import median
from typing import NamedTuple

import psycopg2
import requests
from sqlalchemy import Engine, text

from benchmarks import kept, usage
from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import WARM_UP, Deployment, Run, deployed
from benchmarks.scale import Scale
from benchmarks.services import Addresses, Services, asking, query
from shared.clock import now
from shared.database.engine import make_engine
from shared.domain.retention import Retention
from shared.ledger.entries import Entries
from shared.messages.claim import claim_messages
from shared.messages.find import find_message, read_history
from shared.retention import parts
from shared.retention.dropping import drop_part, patient_connection

TIMES, ROUNDS = 3, 60
MARGIN = 8 * 2**30


def measure(services: Services, scale: Scale) -> Report:
    """A database with ten parts beside an empty one, in turn."""
    title = f"Years of rows: {scale.kept:,} messages in {scale.kept_mailings:,} mailings and {kept.PARTS} parts"
    with services.addresses(_groups(scale)) as empty, _full(services, scale) as full:
        room = _room(services, full, scale)
        if not room.passes:
            print(f"Years of rows are left out: they need {room.least:.0f} GB of the disk, of which are free"
                  f" {room.value:.0f} GB.")  # fmt: skip
            return Report(title, [room])
        since = time.monotonic()
        kept.fill(full.database_url, scale)
        figures = [room, Figure("filled in", time.monotonic() - since, "s"), *_sizes(full.database_url, scale)]
        with ExitStack() as stack:
            one = stack.enter_context(deployed(services.processes, empty, api="api-empty"))
            other = stack.enter_context(deployed(services.processes, full, api="api-full"))
            figures += _compare(services, one, other)
        figures += _look_up(full.database_url)
        figures += _drop(full.database_url, scale.held)
    return Report(title, figures)


def prepare(services: Services, scale: Scale, most: int) -> int:
    """Makes so many at most of the parts that are missing, for a run that keeps them. How many still are."""
    with _full(services, scale) as full:
        kept.fill(full.database_url, scale, most)
        return kept.missing(full.database_url)


def _groups(scale: Scale) -> dict[str, int]:
    return WARM_UP | {"bench": scale.throughput, "many": scale.launch - scale.throughput}


def _full(services: Services, scale: Scale) -> AbstractContextManager[Addresses]:
    return services.addresses(_groups(scale), keep=f"years_{scale.kept}")


def _room(services: Services, full: Addresses, scale: Scale) -> Figure:
    """On the disk, for what is still missing."""
    free = shutil.disk_usage(services.home).free
    needed = kept.missing(full.database_url) * scale.kept // kept.PARTS * kept.BYTES + MARGIN
    return Figure("free on the disk", free / 2**30, "GB", least=needed / 2**30)


def _sizes(database_url: str, scale: Scale) -> Iterator[Figure]:
    [(size,)] = query(database_url, "select pg_database_size(current_database())")
    yield Figure("on the disk for each message", size / scale.kept, "bytes")


# ---------------------------------------------------------------- what they cost


def _compare(services: Services, empty: Deployment, full: Deployment) -> Iterator[Figure]:
    """In turn, and each time the other one first: what a machine does beside it comes and goes."""
    runs: dict[Deployment, list[Run]] = {empty: [], full: []}
    launches: dict[Deployment, list[_Launched]] = {empty: [], full: []}
    logs: dict[Deployment, list[float]] = {empty: [], full: []}
    for turn in range(TIMES):
        for one in (empty, full) if turn % 2 else (full, empty):
            _calm(one)
            launches[one].append(_launch(one, services.pids["postgres"]))
            _calm(one)
            before = _written(one)
            run = one.send("bench", {"postgres": services.pids["postgres"]})
            logs[one].append((_written(one) - before) / run.messages)
            runs[one].append(run)
    rates = {one: [run.rate for run in some] for one, some in runs.items()}
    costs = {one: [sum(run.cpu.values()) / run.messages * 1e6 for run in some] for one, some in runs.items()}
    creations = {one: [launch.rate for launch in some] for one, some in launches.items()}
    creating = {one: [launch.cost for launch in some] for one, some in launches.items()}
    for name, values, unit, least, most in (
        ("messages/s of a new mailing", rates, "1/s", 0.9, None),
        ("messages created per second", creations, "1/s", 0.9, None),
        ("CPU of PostgreSQL for a message created", creating, "µs", None, 1.1),
        ("log of the database for a message", logs, "bytes", None, 1.1),
        ("CPU for a message", costs, "µs", None, 1.1),
    ):
        yield median_of(f"{name}, empty", values[empty], unit)
        yield median_of(f"{name}, full", values[full], unit)
        yield Figure(f"{name}, full / empty", median(values[full]) / median(values[empty]), "", least=least, most=most)
    yield from _ask(empty, full)


def _calm(one: Deployment) -> None:
    """No vacuum and no checkpoint comes in between because of what was before."""
    query(one.database_url, "vacuum messages")
    query(one.database_url, "checkpoint")


class _Launched(NamedTuple):
    """rate: messages a second. cost: microseconds of PostgreSQL's CPU for each."""

    rate: float
    cost: float


def _launch(one: Deployment, postgres: int) -> _Launched:
    """A mailing to everybody, of whom nobody may be written to now: from its first slice to its last, so that nothing
    else is in it."""
    closed = now() + timedelta(minutes=30)  # in every time zone here: they are whole hours apart
    window = (f"{closed:%H:%M}", f"{closed + timedelta(minutes=1):%H:%M}")
    mailing_id = one.create("", window=window)
    with asking(one.database_url) as ask:
        while not (begun := ask(_BEGUN, mailing_id)):
            time.sleep(0.005)
        spent = usage.cpu([postgres])
        while not (ended := ask(f"{_BEGUN} and launched_at is not null", mailing_id)):
            time.sleep(0.005)
    spent = usage.cpu([postgres]) - spent
    one.cancel(mailing_id)
    one.wait("finished_at is not null", mailing_id)
    [(since, some)], [(until, audience)] = begun, ended
    created = audience - some
    return _Launched(created / (until - since), spent / created * 1e6)


_BEGUN = "select extract(epoch from clock_timestamp())::float, audience from mailings where id = %s and audience > 0"


def _written(one: Deployment) -> int:
    """Bytes of the log of the server so far."""
    return int(query(one.database_url, "select pg_current_wal_lsn() - '0/0'")[0][0])


def _ask(empty: Deployment, full: Deployment) -> Iterator[Figure]:
    with requests.Session() as http:
        http.trust_env = False
        for path in ("/mailings/general_statistics/", "/mailings/{newest}/detail_statistics/"):
            times: dict[Deployment, list[float]] = {empty: [], full: []}
            for _ in range(ROUNDS):
                for one, taken in times.items():
                    url = one.url + path.format(newest=query(one.database_url, "select max(id) from mailings")[0][0])
                    began = time.perf_counter()
                    http.get(url, timeout=30).raise_for_status()
                    taken.append(time.perf_counter() - began)
            few, many = median(times[empty]), median(times[full])
            yield Figure(f"GET {path}, empty", few * 1000, "ms")
            yield Figure(f"GET {path}, full", many * 1000, "ms")
            yield Figure(f"GET {path}, full / empty", many / few, "", most=1.1)


def _look_up(database_url: str) -> Iterator[Figure]:
    """As the product asks for them. Each time another message, so that none is in memory because it was just read."""
    rows = query(database_url, _FIRST, kept.parts(database_url))
    ids = [number for (number,) in rows[:: max(1, len(rows) // ROUNDS)]]
    engine = make_engine(database_url, "bench", pool_size=1)
    with engine.connect() as connection:
        history = _timed(lambda _: len(read_history(connection, 1, 100)) == 100)
        found = _timed(lambda number: find_message(connection, ids[number % len(ids)]) is not None)
        connection.rollback()
    engine.dispose()
    yield Figure(f"the newest 100 messages of a client of {kept.MAILINGS_OF_ONE:,} mailings", history, "ms", most=5)
    yield Figure("a message by its id alone", found, "ms", most=5)


_FIRST = """
    select first_message_id from mailings
    where part = any(%s) and first_message_id is not null and messages_removed_at is null order by id
"""


def _timed(look: Callable[[int], bool]) -> float:
    """Milliseconds, the median."""
    times = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        assert look(number)
        times.append(time.perf_counter() - began)
    return median(times) * 1000


# ---------------------------------------------------------------- how they go


def _drop(database_url: str, held: float) -> Iterator[Figure]:
    """A part in the middle, while somebody who copied from it does not end their transaction for a while."""
    engine = make_engine(database_url, "bench", pool_size=4)
    there = kept.parts(database_url)
    number = there[len(there) // 2]
    [(mailing_id, *ids)] = query(database_url, _WAITING)
    calm = _Claims(engine, mailing_id, ids)
    with calm:
        time.sleep(held)
    query(database_url, "update mailings set finished_at = now() - interval '100 days' where part = %s", number)
    claims = _Claims(engine, mailing_id, ids)
    with claims, closing(psycopg2.connect(database_url)) as somebody:
        with somebody.cursor() as cursor:
            cursor.copy_expert(
                f"copy (select * from messages where part = {number} limit 10000) to stdout", io.BytesIO()
            )
        ended: list[float] = []
        thread = threading.Thread(target=_drop_part, args=(engine, number, ended))
        thread.start()
        time.sleep(held)
        released = time.monotonic()
        somebody.rollback()
        thread.join()
        time.sleep(2)  # the files go after the commit
    query(database_url, "update mailings set cancelled_at = now() where id = %s", mailing_id)
    engine.dispose()
    for which, seen, most in (("nobody drops a part", calm, None),
                              (f"one is dropped that is read for {held:g} s", claims, 200)):  # fmt: skip
        yield Figure(f"a claim while {which}, p99", sorted(seen.seconds)[len(seen.seconds) * 99 // 100] * 1000, "ms")
        yield Figure(f"a claim while {which}, the longest", max(seen.seconds) * 1000, "ms", most=most)
    yield Figure("the part is gone after the reader by", ended[0] - released, "s")


def _drop_part(engine: Engine, number: int, ended: list[float]) -> None:
    while True:
        with engine.begin() as connection:
            if not parts.give_up(connection, number, Retention(90).kept, with_part=True):
                break
    with patient_connection(engine) as connection:
        drop_part(connection, number)
    with engine.begin() as connection:
        parts.forget(connection, number)
    ended.append(time.monotonic())


class _Claims:
    """Claims messages of a mailing that waits, and puts them back, for as long as the block lasts.

    seconds: of each claim, with its commit.
    """

    def __init__(self, engine: Engine, mailing_id: int, ids: Sequence[int]) -> None:
        """ids: the first and the last of its messages."""
        self._engine, self._mailing_id = engine, mailing_id
        self._ids = range(ids[0], ids[1] + 1)
        self.seconds: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._claim)

    def __enter__(self) -> "_Claims":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _claim(self) -> None:
        jobs = {self._mailing_id: self._ids}
        with self._engine.connect() as connection:
            while not self._over.wait(0.02):
                began = time.perf_counter()
                with connection.begin():
                    claim = claim_messages(connection, Entries(), jobs, lease=timedelta(days=1))
                self.seconds.append(time.perf_counter() - began)
                assert claim is not None
                assert len(claim.messages) == len(self._ids)
                with connection.begin():
                    connection.execute(_PUT_BACK, {"mailing_id": self._mailing_id, "first": self._ids[0]})


_WAITING = """
    with place as (
        select min(number) as part from parts where closed_at is null
    ), mailing as (
        insert into mailings (text, starts_at, ends_at, audience, audience_limit, launched_at, part)
        select 'Sale', now(), now() + interval '1 day', 200, 0, now(), part from place returning id, part
    ), made as (
        insert into messages (part, mailing_id, client_id, phone, status, attempts, calls, due_at)
        select mailing.part, mailing.id, c.id, c.phone, 'retrying', 1, 1, now()
        from mailing, (select id, phone from clients order by id limit 200) c returning id, mailing_id
    ), counted as (
        insert into mailing_counters (mailing_id, slot, retrying, due_at) select id, 0, 200, now() from mailing
    ), added as (
        update ledger_totals set mailings = mailings + 1, audience = audience + 200, retrying = retrying + 200
        where slot = 1
    )
    select mailing_id, min(id), max(id) from made group by mailing_id
"""
_PUT_BACK = text("""
    update messages set status = 'retrying', claim_id = null, due_at = now()
    where part = (select part from mailings where id = :mailing_id) and mailing_id = :mailing_id and id >= :first
""")
