"""A thousand small mailings at once, beside one that has as many messages."""

from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from typing import NamedTuple

from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from shared import clock

PEOPLE = 20
ROUNDS = 3
FAR = timedelta(minutes=30)
"""Until they start, when they are made: it takes a while to make a thousand."""

SOON = 3.0
"""Seconds until they start, when all are there."""

FIRST_WITHIN = 5.0
PACE_NEEDED = 10 / FIRST_WITHIN
"""Messages a second, for each mailing, of which a tenth gives each its first one in time."""


class Sent(NamedTuple):
    """rate: messages a second from the start on. last_first: seconds until each mailing had its first message."""

    rate: float
    last_first: float


def measure(services: Services, scale: Scale) -> Report:
    """In turn, each with a directory of those whom it is for: a launch looks at all of it."""
    count = scale.crowd * PEOPLE
    crowds, ones = [], []
    for _ in range(ROUNDS):
        crowds.append(_send(services, PEOPLE, scale.crowd))
        ones.append(_send(services, count, 1))
    return Report(
        f"A crowd: {scale.crowd:,} mailings of {PEOPLE} at once, and one of {count:,}",
        list(_figures(scale.crowd, crowds, ones)),
    )


def _figures(number: int, crowds: list[Sent], ones: list[Sent]) -> Iterator[Figure]:
    many, one = [sent.rate for sent in crowds], [sent.rate for sent in ones]
    yield median_of("messages/s, one mailing", one, "1/s")
    yield median_of(f"messages/s, {number:,} mailings", many, "1/s")
    yield Figure(f"{number:,} mailings / one", median(many) / median(one), "", least=0.8)
    firsts = [sent.last_first for sent in crowds]
    allows = median(many) >= PACE_NEEDED * number
    yield Figure("the last of them had its first message after", median(firsts), "s",
                 most=FIRST_WITHIN if allows else None, spread=(min(firsts), max(firsts)))  # fmt: skip


def _send(services: Services, people: int, number: int) -> Sent:
    """So many mailings to the same people that start at the same moment."""
    with (
        services.addresses(WARM_UP | {"people": people}) as addresses,
        deployed(services.processes, addresses) as running,
    ):
        starts_at = clock.now() + FAR
        ids = [running.create("people", starts_at=starts_at) for _ in range(number)]
        query(addresses.database_url, _START, SOON, ids)
        running.wait_all("finished_at is not null", ids)
        [(rate, last_first)] = query(addresses.database_url, _SENT, ids)
    return Sent(rate, last_first)


_START = "update mailings set starts_at = now() + %s * interval '1 s' where id = any(%s)"
_SENT = """
    with sent as (
        select mailing_id, count(*) as number, min(sent_at) as first, max(sent_at) as last
        from messages where mailing_id = any(%s) and status = 'sent' group by mailing_id
    )
    select (sum(number) / extract(epoch from max(last) - min(starts_at)))::float,
           extract(epoch from max(first) - min(starts_at))::float
    from sent join mailings g on g.id = mailing_id
"""
