"""How a part of the rows of years goes, and what those who claim meanwhile notice of it."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta

import psycopg2
from sqlalchemy import Engine, text

from benchmarks import kept
from benchmarks.figure import Figure
from benchmarks.services import query
from shared.database.engine import make_engine
from shared.domain.retention import Retention
from shared.ledger.entries import Entries
from shared.messages.claim import claim_messages
from shared.retention import parts
from shared.retention.dropping import drop_part, patient_connection


def drop_one(database_url: str, held: float) -> Iterator[Figure]:
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
