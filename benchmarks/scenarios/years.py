"""Rows of years: what they cost a new mailing, a client's history, and how a part of them goes."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from statistics import median

import psycopg2
import requests
from sqlalchemy import Engine

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, Deployment, Run, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, asking, query
from shared.database.engine import make_engine
from shared.database.parts import make_part
from shared.domain.retention import Retention
from shared.ledger.entries import Entries
from shared.messages.claim import claim_messages
from shared.retention import parts
from shared.retention.dropping import drop_part, patient_connection

PARTS = 10
MIDDLE = PARTS // 2
TIMES = 3
ROUNDS = 60
MAILINGS_OF_ONE = 10_000
"""Mailings that one client was in."""

BYTES = 450
"""Of a message on the disk: the row at half of its page, three indexes, and the log until it is recycled."""

MARGIN = 8 * 2**30


def measure(services: Services, scale: Scale) -> Report:
    """A database with ten parts beside an empty one, in turn."""
    title = f"Years of rows: {scale.kept:,} messages in {scale.kept_mailings:,} mailings and {PARTS} parts"
    groups = WARM_UP | {"bench": scale.throughput}
    with services.addresses(groups) as empty, services.addresses(groups) as full:
        free, needed = shutil.disk_usage(services.home).free, scale.kept * BYTES + MARGIN
        room = Figure("free on the disk", free / 2**30, "GB", least=needed / 2**30)
        if free < needed:
            print(f"Years of rows are left out: they need {needed / 2**30:.0f} GB of the disk, of which are free"
                  f" {free / 2**30:.0f} GB.")  # fmt: skip
            return Report(title, [room])
        since = time.monotonic()
        _fill(full.database_url, scale)
        figures = [room, Figure("filled in", time.monotonic() - since, "s"), *_sizes(full.database_url, scale)]
        with ExitStack() as stack:
            one = stack.enter_context(deployed(services.processes, empty, api="api-empty"))
            other = stack.enter_context(deployed(services.processes, full, api="api-full"))
            figures += _compare(services, one, other)
        figures += _history(full.database_url)
        figures += _drop(full.database_url, scale.held)
    return Report(title, figures)


# ---------------------------------------------------------------- what they cost


def _compare(services: Services, empty: Deployment, full: Deployment) -> Iterator[Figure]:
    runs: dict[Deployment, list[Run]] = {empty: [], full: []}
    launches: dict[Deployment, list[float]] = {empty: [], full: []}
    logs: dict[Deployment, list[float]] = {empty: [], full: []}
    for _ in range(TIMES):
        for one in (empty, full):
            before = _written(one)
            run = one.send("bench", {"postgres": services.pids["postgres"]})
            logs[one].append((_written(one) - before) / run.messages)
            runs[one].append(run)
            [(rate,)] = query(one.database_url, _LAUNCHED)
            launches[one].append(float(rate))
    rates = {one: [run.rate for run in some] for one, some in runs.items()}
    costs = {one: [sum(run.cpu.values()) / run.messages * 1e6 for run in some] for one, some in runs.items()}
    for name, values, unit, least, most in (
        ("messages/s of a new mailing", rates, "1/s", 0.9, None),
        ("messages created per second", launches, "1/s", 0.9, None),
        ("log of the database for a message", logs, "bytes", None, 1.1),
        ("CPU for a message", costs, "µs", None, 1.1),
    ):
        yield Figure(f"{name}, empty", median(values[empty]), unit)
        yield Figure(f"{name}, full", median(values[full]), unit)
        yield Figure(f"{name}, full / empty", median(values[full]) / median(values[empty]), "", least=least, most=most)
    yield from _ask(empty, full)


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


def _history(database_url: str) -> Iterator[Figure]:
    times = []
    with asking(database_url) as ask:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            assert len(ask(_HISTORY)) == 100
            times.append(time.perf_counter() - began)
    yield Figure(f"the newest 100 messages of a client of {MAILINGS_OF_ONE:,} mailings", median(times) * 1000, "ms",
                 most=5)  # fmt: skip


_LAUNCHED = """
    select audience / extract(epoch from launched_at - created_at) from mailings where finished_at is not null
    order by id desc limit 1
"""
_HISTORY = "select * from messages where client_id = 1 order by mailing_id desc limit 100"


# ---------------------------------------------------------------- how they go


def _drop(database_url: str, held: float) -> Iterator[Figure]:
    """A part in the middle, while somebody copies from it and does not end their transaction for a while."""
    engine = make_engine(database_url, "bench", pool_size=4)
    query(database_url, "update messages set due_at = now() where part = %s and status = 'retrying'", PARTS + 1)
    calm = _Claims(engine)
    with calm:
        time.sleep(held)
    query(database_url, "update mailings set finished_at = now() - interval '100 days' where part = %s", MIDDLE)
    claims = _Claims(engine)
    with claims, closing(psycopg2.connect(database_url)) as somebody:
        with somebody.cursor() as cursor:
            cursor.execute(f"create temporary table copied as select id from messages where part = {MIDDLE} limit 1000")
        ended: list[float] = []
        thread = threading.Thread(target=_drop_middle, args=(engine, ended))
        thread.start()
        time.sleep(held)
        released = time.monotonic()
        somebody.rollback()
        thread.join()
    engine.dispose()
    yield Figure("the longest claim while nobody drops a part", max(calm.seconds) * 1000, "ms")
    yield Figure(f"the same while one drops a part that is read for {held:g} s",
                 max(claims.seconds) * 1000, "ms", most=200)  # fmt: skip
    yield Figure("the part is gone after the reader by", ended[0] - released, "s")


def _drop_middle(engine: Engine, ended: list[float]) -> None:
    while True:
        with engine.begin() as connection:
            if not parts.give_up(connection, MIDDLE, Retention(90).kept, with_part=True):
                break
    with patient_connection(engine) as connection:
        drop_part(connection, MIDDLE)
    ended.append(time.monotonic())


class _Claims:
    """Claims messages of a mailing that waits, and takes it back, for as long as the block lasts. seconds: of each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
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
        with self._engine.connect() as connection:
            with connection.begin():
                [(mailing_id, first)] = connection.exec_driver_sql(_WAITS).all()
            while not self._over.wait(0.02):
                began = time.perf_counter()
                with connection.begin() as transaction:
                    claim = claim_messages(
                        connection, Entries(), {mailing_id: range(first, first + 200)}, lease=Retention(1).kept
                    )
                    assert claim is not None
                    transaction.rollback()
                self.seconds.append(time.perf_counter() - began)


_WAITS = "select id, first_message_id from mailings where finished_at is null and first_message_id is not null limit 1"


# ---------------------------------------------------------------- the rows


def _fill(database_url: str, scale: Scale) -> None:
    """As if all of it had been sent in ten days, a year ago, and then one mailing that waits."""
    engine = make_engine(database_url, "bench", statement_timeout=0)
    for number in range(1, PARTS + 1):
        with engine.begin() as connection:
            if number > 1:
                make_part(connection)
            connection.exec_driver_sql(
                f"update parts set closed_at = now() - interval '80 days' where number = {number}"
            )
        share = scale.kept_mailings // PARTS
        query(database_url, _MAILINGS, scale.kept // scale.kept_mailings, number, share)
        query(database_url, _MAILINGS, 1, number, MAILINGS_OF_ONE // PARTS - share)
        query(database_url, _MESSAGES, number)
    with engine.begin() as connection:
        make_part(connection)
        make_part(connection)
    engine.dispose()
    for statement in (_COUNTERS, _TALLIES, _WAITING, _PLACES, _TOTALS):
        query(database_url, statement)


def _sizes(database_url: str, scale: Scale) -> Iterator[Figure]:
    [(size,)] = query(database_url, "select pg_database_size(current_database())")
    yield Figure("on the disk for each message", size / scale.kept, "bytes")


_MAILINGS = """
    insert into mailings (text, starts_at, ends_at, audience, audience_limit, launched_at, closed_at, finished_at, part)
    select 'Sale', now() - interval '81 days', now() - interval '80 days', %s, 0, now() - interval '81 days',
           now() - interval '80 days', now() - interval '80 days', %s
    from generate_series(1, %s)
"""
_MESSAGES = """
    insert into messages (part, mailing_id, client_id, phone, status, attempts, calls, error, sent_at)
    select g.part, g.id, number, 79000000000 + number,
           case number %% 100 when 99 then 'failed' else 'sent' end::message_state, 1, 1,
           case number %% 100 when 99 then 'rejected' end, case when number %% 100 < 99 then g.finished_at end
    from mailings g, generate_series(1, audience) number where g.part = %s order by g.id, number
"""
_PLACES = """
    update mailings g set first_message_id = m.first, last_message_id = m.last
    from (select mailing_id, min(id) as first, max(id) as last from messages group by mailing_id) m
    where g.id = m.mailing_id
"""
_COUNTERS = """
    insert into mailing_counters (mailing_id, slot, sent, failed, first_sent_at, last_sent_at)
    select id, -1, audience - (audience + 1) / 100, (audience + 1) / 100, finished_at, finished_at from mailings
"""
_TALLIES = """
    insert into tallies (mailing_id, quarter, slot, name, count)
    select id, date_bin('15 minutes', finished_at, timestamptz '2000-01-01 00:00:00+00'), slot, name, 1
    from mailings, generate_series(0, 3) slot, unnest(array['sent', 'failed', 'error.rejected']) name
"""
_WAITING = f"""
    with mailing as (
        insert into mailings (text, starts_at, ends_at, audience, audience_limit, launched_at, part)
        values ('Sale', now(), now() + interval '1 day', 200, 0, now(), {PARTS + 1}) returning id
    ), made as (
        insert into messages (part, mailing_id, client_id, phone, status, attempts, calls, due_at)
        select {PARTS + 1}, mailing.id, c.id, c.phone, 'retrying', 1, 1, now() + interval '20 h'
        from mailing, (select id, phone from clients order by id limit 200) c returning 1
    )
    insert into mailing_counters (mailing_id, slot, retrying, due_at)
    select id, 0, 200, now() + interval '20 h' from mailing
"""
_TOTALS = """
    insert into ledger_totals (slot, mailings, audience, sent, failed, retrying)
    select 1, count(distinct g.id), sum(g.audience), sum(sent), sum(failed), sum(retrying)
    from mailings g join mailing_counters on mailing_id = g.id
"""
