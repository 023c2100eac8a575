"""Preflight: how long whoever starts a mailing waits for it, among many clients, and what memory it takes."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from statistics import median
from typing import Any

from benchmarks import people, usage
from benchmarks.figure import Figure, Report
from benchmarks.run import Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from notification_client import ApiClient
from shared import clock

ROUNDS = 3
RARE = 100_000

FILTERS: Mapping[str, Any] = {
    "everybody": {},
    "a tag": {"tags": ["vip"]},
    "an attribute of a tenth": {"attributes": {"city": ["City 3"]}},
}
PLAIN = "The doors open at noon \u2013 come and see what we have for you!"

PERSONAL = {
    "plain placeholders": "Hi {{ city }}, you came {{ visits }} times {{ nickname | default: 'dear' }}",
    "Liquid": "{% if is_member %}Dear {{ city | upcase }}{% else %}Hi{% endif %}, you came {{ visits }} times",
}

MOST, MOST_PERSONAL = 3.0, 8.0
MOST_MEMORY = 64.0
"""Megabytes by which the process of the API may grow."""


def measure(services: Services, scale: Scale) -> Report:
    with services.addresses({}, table=True) as addresses:
        people.fill(addresses.database_url, scale.searched, min(RARE, scale.searched // 100))
        query(addresses.database_url, _RUNNING, min(scale.searched, 100_000))
        with (
            deployed(services.processes, addresses, dispatchers=0, warm_up=False, env={"API_WORKERS": "1"}) as running,
            ApiClient(running.url) as client,
        ):
            figures = [*_figures(running, client)]
    return Report(f"Preflight: {scale.searched:,} clients", figures)


def _figures(running: Deployment, client: ApiClient) -> Iterator[Figure]:
    times = {"starts_at": clock.now(), "ends_at": clock.now() + timedelta(days=2)}
    window = {"from": "09:00", "until": "21:00"}
    client.check_mailing(PLAIN, **times, filter={"tags": ["nobody"]})
    before = usage.memory(running.api)
    cases = [(f"plain text, to {name}", PLAIN, wanted, MOST) for name, wanted in FILTERS.items()]
    cases += [(f"{name}, to everybody", template, {}, MOST_PERSONAL) for name, template in PERSONAL.items()]
    for name, message, wanted, most in cases:
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = client.check_mailing(message, **times, filter=wanted, send_window=window)
            seconds.append(time.perf_counter() - began)
            assert found["audience"], "Nobody was counted."
            assert found["overlap"], "Nobody was looked at."
        yield Figure(f"{name}, p50", median(seconds), "s", most=most)
    yield Figure("memory that the API takes for it", usage.memory(running.api) - before, "MB", most=MOST_MEMORY)


# A mailing that is still to be sent to some of them.
_RUNNING = """
    with made as (
        insert into mailings (text, starts_at, ends_at, launched_at, part, audience_limit)
        values ('Hello', now() - interval '1 h', now() + interval '1 d', now(), 1, 0) returning id
    )
    insert into messages (part, mailing_id, client_id, phone, status, due_at)
    select 1, made.id, clients.id, phone, 'pending', now() + interval '1 h' from clients, made
    where clients.id <= %s
"""
