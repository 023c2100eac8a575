"""How such a service is usually built: Celery on RabbitMQ, a task per message or per 100 messages.

Tuned as far as its settings go: late acks, prefetch, a `requests.Session` and a database connection per process or
thread. Runs under an interpreter that has celery, requests and psycopg2 and nothing of ours, on the tables of the
ceiling. `python -m benchmarks.celery_tasks TASK COUNT` creates a mailing and publishes its tasks.
"""

import json
import os
import sys
import threading
import time
from contextlib import closing
from typing import Any

import psycopg2
import requests
from celery import Celery

CHUNK = 100
HEADERS = {"Authorization": "Bearer " + "x" * 120}
TEXT = "Hello, client! Sale starts tomorrow at 10:00."

app = Celery("celery_tasks", broker=os.environ["BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    worker_disable_rate_limits=True,
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "4")),
)
_local = threading.local()


@app.task(name="send_one")
def send_one(message_id: int) -> None:
    _send([message_id])


@app.task(name="send_chunk")
def send_chunk(message_ids: list[int]) -> None:
    _send(message_ids)


def _send(message_ids: list[int]) -> None:
    if not hasattr(_local, "http"):
        _local.http = requests.Session()
        _local.http.trust_env = False  # else every call looks for proxies and .netrc
        _local.http.headers.update(HEADERS)
        _local.database = psycopg2.connect(os.environ["DATABASE_URL"])
    with _local.database, _local.database.cursor() as cursor:
        cursor.execute(
            "select m.id, c.phone, g.text from messages m join clients c on c.id = m.client_id"
            " join mailings g on g.id = m.mailing_id where m.id = any(%s)",
            (message_ids,),
        )
        rows = cursor.fetchall()
    for message_id, phone, text in rows:
        answer = _local.http.post(
            f"{os.environ['PROVIDER_URL']}/v1/send/{message_id}",
            json={"id": message_id, "phone": phone, "text": text},
            timeout=10,
        )
        answer.raise_for_status()
        if answer.json()["code"] != 0:
            raise ValueError(answer.text)
    with _local.database, _local.database.cursor() as cursor:
        cursor.execute("update messages set status = 1, sent_at = now() where id = any(%s)", (message_ids,))


def publish(name: str, count: int) -> dict[str, Any]:
    """The mailing's id, and when it was begun and all published, in seconds since 1970."""
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
        started = time.time()
        with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as database, database, database.cursor() as cursor:
            cursor.execute("insert into mailings (text) values (%s) returning id", (TEXT,))
            [mailing_id] = cursor.fetchone() or [0]
            cursor.execute(
                "insert into messages (mailing_id, client_id) select %s, id from clients order by id limit %s"
                " returning id",
                (mailing_id, count),
            )
            ids = [row[0] for row in cursor.fetchall()]
        if name == "send_one":
            for message_id in ids:
                send_one.apply_async((message_id,), producer=producer)
        else:
            for start in range(0, len(ids), CHUNK):
                send_chunk.apply_async((ids[start : start + CHUNK],), producer=producer)
    return {"mailing_id": mailing_id, "started": started, "published": time.time()}


if __name__ == "__main__":
    print(json.dumps(publish(sys.argv[1], int(sys.argv[2]))))
