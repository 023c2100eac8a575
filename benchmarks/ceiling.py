"""The ceiling: a bare pipeline that does what has to be done for a message, and nothing to keep it safe.

No claims, no counters, no retries, no limits, at least once. Chunks of 100 ids over RabbitMQ; one SELECT for each; 32
calls in flight from one libcurl loop; one UPDATE for what has been answered; acks. One thread for each of these.
`python -m benchmarks.ceiling` is the sending process; `send` puts a mailing through it.
"""

import json
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pika
import psycopg2

from benchmarks import calls, usage
from benchmarks.calls import Call
from benchmarks.run import TEXT, TOKEN, Run, TooSlow
from benchmarks.services import Addresses, asking, query

CHUNK = 100
PREFETCH = 20  # chunks
WRITE_ROWS = 500
WRITE_DELAY = 0.02  # seconds
WARM_UP = 400
LIMIT = 120.0
QUEUE = "chunks"

SCHEMA = """
    create table clients (id bigserial primary key, phone bigint not null);
    create table mailings (id bigserial primary key, text text not null);
    create table messages (
        id bigserial primary key, mailing_id bigint not null references mailings,
        client_id bigint not null references clients, status smallint not null default 0, sent_at timestamptz
    ) with (fillfactor = 80);
    create index on messages (mailing_id, status);
"""
_FILL = "insert into clients (phone) select 79000000000 + number from generate_series(1, %s) number"
_LOAD = """
    select m.id, c.phone, g.text
    from messages m join clients c on c.id = m.client_id join mailings g on g.id = m.mailing_id
    where m.id = any(%s) and m.status = 0
"""
_WRITE = "update messages set status = %s, sent_at = now() where id = any(%s)"
SENT = """
    select count(*), extract(epoch from max(sent_at))::float from messages where mailing_id = %s and status = 1
"""


# ---------------------------------------------------------------- around the pipeline


def prepare(addresses: Addresses, clients: int) -> None:
    query(addresses.database_url, SCHEMA)
    query(addresses.database_url, _FILL, clients)
    query(addresses.database_url, "vacuum analyze")


def send(addresses: Addresses, count: int, pids: dict[str, list[int]]) -> Run:
    """Puts a mailing through the process that runs, and returns when all of it is sent. pids: whose CPU is counted."""
    before = {name: usage.cpu(roots) for name, roots in pids.items()}
    started = time.time()
    mailing_id = publish(addresses, count)
    published = time.time()
    with asking(addresses.database_url) as ask:
        while ask(_SOME_OPEN, mailing_id)[0][0]:
            if time.time() > started + LIMIT:
                raise TooSlow(f"The ceiling did not send {count} messages within {LIMIT:g} s.")
            time.sleep(0.1)
        [(messages, last)] = ask(SENT, mailing_id)
    cpu = {name: usage.cpu(roots) - before[name] for name, roots in pids.items()}
    return Run(messages, max(last, published) - started, cpu)


_SOME_OPEN = "select exists (select from messages where mailing_id = %s and status = 0)"


def publish(addresses: Addresses, count: int) -> int:
    """A mailing's messages in one INSERT, its chunks in one transaction of the broker; the mailing's id."""
    with closing(psycopg2.connect(addresses.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("insert into mailings (text) values (%s) returning id", (TEXT,))
        [mailing_id] = cursor.fetchone() or [0]
        cursor.execute(_FAN_OUT, (mailing_id, count))
        ids = [row[0] for row in cursor.fetchall()]
    with pika.BlockingConnection(pika.URLParameters(addresses.broker_url)) as broker:
        channel = broker.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.tx_select()
        for start in range(0, len(ids), CHUNK):
            body = json.dumps(ids[start : start + CHUNK]).encode()
            channel.basic_publish("", QUEUE, body, pika.BasicProperties(delivery_mode=2))
        channel.tx_commit()
    return int(mailing_id)


_FAN_OUT = """
    insert into messages (mailing_id, client_id) select %s, id from clients order by id limit %s returning id
"""


# ---------------------------------------------------------------- the pipeline


@dataclass(eq=False)
class _Batch:
    """One chunk on its way. open: calls without an answer."""

    tag: int
    open: int
    accepted: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


class _Pipeline:
    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._received: queue.SimpleQueue[tuple[int, list[int]]] = queue.SimpleQueue()
        self._waiting: deque[Call] = deque()
        self._answered: queue.SimpleQueue[_Batch] = queue.SimpleQueue()
        self._broker = pika.BlockingConnection(pika.URLParameters(addresses.broker_url))
        self._channel = self._broker.channel()
        self._channel.queue_declare(QUEUE, durable=True)
        self._channel.basic_qos(prefetch_count=PREFETCH)
        self._channel.basic_consume(QUEUE, self._receive)

    def run(self) -> None:
        for stage in (self._channel.start_consuming, self._load, self._write):
            threading.Thread(target=stage, daemon=True).start()
        print("ready", flush=True)
        calls.make(self._calls(), self._answer, token=TOKEN)

    def _receive(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._received.put((method.delivery_tag, json.loads(body)))

    def _load(self) -> None:
        connection = psycopg2.connect(self._addresses.database_url)
        connection.autocommit = True
        cursor = connection.cursor()
        while True:
            tag, ids = self._received.get()
            cursor.execute(_LOAD, (ids,))
            rows = cursor.fetchall()
            batch = _Batch(tag, len(rows))
            if not rows:
                self._answered.put(batch)
            for message_id, phone, text in rows:
                body = json.dumps({"id": message_id, "phone": phone, "text": text}).encode()
                url = f"{self._addresses.provider_url}/v1/send/{message_id}"
                self._waiting.append(Call(url, body, (batch, message_id)))

    def _calls(self) -> Iterator[Call | None]:
        while True:
            yield self._waiting.popleft() if self._waiting else None

    def _answer(self, call: Call, body: bytes) -> None:
        batch, message_id = call.about
        accepted = call.status == 200 and json.loads(body)["code"] == 0
        (batch.accepted if accepted else batch.refused).append(message_id)
        batch.open -= 1
        if not batch.open:
            self._answered.put(batch)

    def _write(self) -> None:
        connection = psycopg2.connect(self._addresses.database_url)
        cursor = connection.cursor()
        while True:
            batches = self._some_answered()
            for status, ids in (
                (1, [message_id for batch in batches for message_id in batch.accepted]),
                (2, [message_id for batch in batches for message_id in batch.refused]),
            ):
                if ids:
                    cursor.execute(_WRITE, (status, sorted(ids)))
            connection.commit()
            tags = [batch.tag for batch in batches]
            self._broker.add_callback_threadsafe(lambda tags=tags: [self._channel.basic_ack(tag) for tag in tags])

    def _some_answered(self) -> list[_Batch]:
        batches = [self._answered.get()]
        deadline = time.monotonic() + WRITE_DELAY
        while sum(len(batch.accepted) for batch in batches) < WRITE_ROWS:
            try:
                batches.append(self._answered.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return batches


if __name__ == "__main__":
    _Pipeline(Addresses(os.environ["DATABASE_URL"], os.environ["BROKER_URL"], os.environ["PROVIDER_URL"])).run()
