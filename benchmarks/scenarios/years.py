"""Rows of years: what they cost a new mailing, a client's history, and how a part of them goes."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from statistics import median

import requests

from benchmarks import kept
from benchmarks.dropping import drop_one
from benchmarks.figure import Figure, Report, median_of
from benchmarks.launching import LONGEST_SPAN, SLICES, launch_in_turn
from benchmarks.run import WARM_UP, Deployment, Run, deployed
from benchmarks.scale import Scale
from benchmarks.services import Addresses, Services, query
from shared.database.engine import make_engine
from shared.messages.find import find_message, read_history

TIMES, ROUNDS = 5, 60
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
        figures += _compare(services, empty, full, scale)
        figures += _look_up(full.database_url)
        figures += drop_one(full.database_url, scale.held)
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


def _compare(services: Services, empty: Addresses, full: Addresses, scale: Scale) -> Iterator[Figure]:
    span = min(scale.launch // SLICES, LONGEST_SPAN)
    launches = launch_in_turn({one: one.database_url for one in (empty, full)}, span, TIMES)
    few, many = launches[empty], launches[full]
    yield from _beside("messages created per second, slice by slice", few.rates, many.rates, "1/s", least=0.9)
    yield from _beside("CPU of the session for a message created", few.costs, many.costs, "µs", most=1.1)
    with ExitStack() as stack:
        led = {
            one: stack.enter_context(deployed(services.processes, one, api=name))
            for one, name in ((empty, "api-empty"), (full, "api-full"))
        }
        for one, some in launches.items():
            led[one].wait_all("finished_at is not null", some.mailings)
        yield from _compare_led(services, led[empty], led[full])


def _compare_led(services: Services, empty: Deployment, full: Deployment) -> Iterator[Figure]:
    """In turn, and each time the other one first: what a machine does beside it comes and goes."""
    runs: dict[Deployment, list[Run]] = {empty: [], full: []}
    for turn in range(TIMES):
        for one in (empty, full) if turn % 2 else (full, empty):
            _calm(one)
            runs[one].append(one.send("bench", {"postgres": services.pids["postgres"]}))
    rates = {one: [run.rate for run in some] for one, some in runs.items()}
    logs = {one: [run.wal / run.messages for run in some] for one, some in runs.items()}
    costs = {one: [sum(run.cpu.values()) / run.messages * 1e6 for run in some] for one, some in runs.items()}
    yield from _beside("messages/s of a new mailing", rates[empty], rates[full], "1/s", least=0.9)
    yield from _beside("log of the database for a message", logs[empty], logs[full], "bytes", most=1.1)
    yield from _beside("CPU for a message", costs[empty], costs[full], "µs", most=1.1)
    yield from _ask(empty, full)


def _beside(
    name: str,
    empty: Sequence[float],
    full: Sequence[float],
    unit: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Iterator[Figure]:
    yield median_of(f"{name}, empty", empty, unit)
    yield median_of(f"{name}, full", full, unit)
    yield Figure(f"{name}, full / empty", median(full) / median(empty), "", least=least, most=most)


def _calm(one: Deployment) -> None:
    """No vacuum and no checkpoint comes in between because of what was before."""
    query(one.database_url, "vacuum messages")
    query(one.database_url, "checkpoint")


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
