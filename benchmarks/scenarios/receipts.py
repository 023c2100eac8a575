"""Receipts, a hundred at once and one by one, beside a mailing that is held at a rate."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.figure import Figure, Report
from benchmarks.run import TOKEN, WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query

BESIDE = 2_000
"""Messages a second of the mailing."""
BATCH = 100
SENDERS = 16
"""Connections of the provider."""

_PROFILE = """
[providers.bench]
preset = "seed"
url = "{url}/v1/send/{{id}}"
secrets = {{ token = "file:{secret}", receipts = "file:{secret}" }}

[providers.bench.receipts]
list = ""
id = "id"
status = "status"
values = {{ queued = "awaiting", delivered = "delivered" }}
authentication = {{ kind = "header", header = "X-Token", secret = "{{receipts}}" }}
"""


class Spell(NamedTuple):
    """receipts, messages: a second. refused: requests that were not answered with 200."""

    receipts: float
    messages: float
    refused: int


def measure(services: Services, scale: Scale) -> Report:
    secret, file = services.home / "receipts-secret", services.home / "receipts.toml"
    secret.write_text(TOKEN)
    file.write_text(_PROFILE.format(url=services.provider_url, secret=secret))
    count = scale.throughput
    env = {"PROVIDERS_FILE": str(file), "PROVIDER_URL": "", "PROVIDER_TOKEN": "", "DISPATCH_RATE": str(BESIDE)}
    groups = WARM_UP | {"sent": count, "first": count // 2, "second": count // 2}
    with (
        services.addresses(groups) as addresses,
        deployed(services.processes, addresses, env=env) as running,
    ):
        running.send("sent")
        ids = [row[0] for row in query(addresses.database_url, _IDS, count)]
        singles, others = ids[: count // 5], ids[count // 5 :]
        at_once = _beside(running, "first", [*_bodies(others, "queued", BATCH), *_bodies(others, "delivered", BATCH)])
        one_by_one = _beside(running, "second", list(_bodies(singles, "delivered", 1)))
        [(delivered,)] = query(addresses.database_url, _DELIVERED)
    return Report(
        f"Receipts: of a mailing of {count:,}, beside another one at {BESIDE:,} messages a second",
        [
            Figure(f"receipts/s, {BATCH} at once", at_once.receipts, "1/s", least=8_000),
            Figure("of the mailing's rate meanwhile", 100 * at_once.messages / BESIDE, "%", least=97),
            Figure("receipts/s, one by one", one_by_one.receipts, "1/s", least=1_000),
            Figure("of the mailing's rate meanwhile", 100 * one_by_one.messages / BESIDE, "%", least=97),
            Figure("requests that were not taken", at_once.refused + one_by_one.refused, "", most=0),
            Figure("receipts that were not counted", count - delivered, "", most=0),
        ],
    )


def _bodies(ids: Sequence[int], status: str, size: int) -> Iterator[tuple[int, bytes]]:
    """With how many are in each."""
    for start in range(0, len(ids), size):
        some = [{"id": message_id, "status": status} for message_id in ids[start : start + size]]
        yield len(some), json.dumps(some).encode()


def _beside(running: Deployment, tag: str, bodies: Sequence[tuple[int, bytes]]) -> Spell:
    mailing_id = running.create(tag)
    running.wait("(select sum(sent) from mailing_counters c where c.mailing_id = g.id) > 1000", mailing_id)
    left, refused = list(reversed(bodies)), [0]
    began = time.time()
    senders = [threading.Thread(target=_send, args=(running.url, left, refused)) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    ended = time.time()
    running.wait("finished_at is not null", mailing_id)
    [(messages,)] = query(running.database_url, _RATE, began, ended, mailing_id)
    return Spell(sum(number for number, _ in bodies) / (ended - began), messages, refused[0])


def _send(url: str, left: list[tuple[int, bytes]], refused: list[int]) -> None:
    """On one connection, one after the other, until there are no more."""
    place = urlsplit(url)
    head = f"POST /receipts/bench/ HTTP/1.1\r\nHost: bench\r\nX-Token: {TOKEN}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                _, body = left.pop()
            except IndexError:
                return
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            refused[0] += not _answer(connection).startswith(b"HTTP/1.1 200")


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(
        next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head


_IDS = """
    select m.id from messages m join mailings g on g.id = m.mailing_id
    where 'sent' = any(g.tags) and m.status = 'sent' order by m.id limit %s
"""
_DELIVERED = "select coalesce(sum(delivered), 0)::bigint from receipt_counters"
# Over the seconds in which both went on.
_RATE = """
    with beside as (
        select sent_at from messages
        where sent_at >= to_timestamp(%s) and sent_at <= to_timestamp(%s) and mailing_id = %s
    )
    select coalesce(count(*) / nullif(extract(epoch from max(sent_at) - min(sent_at)), 0), 0)::float from beside
"""
