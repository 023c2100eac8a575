"""Clients from the real numbering plan (`shared.domain.numbering`)."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from shared.domain.numbering import Range, ranges

TAGS = ("new", "regular", "loyal", "vip", "dormant")

_GOLDEN = (math.sqrt(5) - 1) / 2


class Client(NamedTuple):
    """A client as the HTTP API takes it. `phone`: "7XXXXXXXXXX"."""

    phone: str
    operator_code: str
    timezone: str
    tag: str


def clients(count: int, seed: int = 0, plan: Sequence[Range] | None = None) -> Iterator[Client]:
    """That many clients, no phone twice; always the same for a seed, and fewer are the beginning of more.

    The first 957 are one from each range, in an order in which 23 have every time zone and 79 every code. All that
    follow are spread over the ranges by capacity. Memory does not grow with the count.
    plan: ranges that do not overlap; all of the file where None.
    Raises ValueError where the ranges have fewer numbers.
    """
    plan = ranges() if plan is None else plan
    available = sum(range_.numbers for range_ in plan)
    if not 0 <= count <= available:
        raise ValueError(f"The number of clients must be from 0 to {available}, and is {count}.")
    return _clients(plan, count, Random(seed))  # noqa: S311 - not a secret


def _clients(plan: Sequence[Range], count: int, random: Random) -> Iterator[Client]:
    pioneers = {range_: random.randrange(range_.numbers) for range_ in plan}  # the offset of its first client
    for range_ in _most_varied_first(plan, random)[:count]:
        yield _client(range_, pioneers[range_], random)
    # Every other number has a place in one long row. Steps of the golden section, kept free of a common divisor with
    # the row's length, visit each place once: a permutation without a table. Any part of the walk is spread over the
    # row, so that a range gets its share as it would by chance.
    starts = [0, *accumulate(range_.numbers - 1 for range_ in plan)]
    places = starts[-1]
    step = _coprime(round(places * _GOLDEN), places)
    place = int(random.random() * places)
    for _ in range(count - len(plan)):
        place = (place + step) % places
        index = bisect_right(starts, place) - 1
        range_, offset = plan[index], place - starts[index]
        yield _client(range_, offset + (offset >= pioneers[range_]), random)


def _client(range_: Range, offset: int, random: Random) -> Client:
    tag = TAGS[int(random.random() * len(TAGS))]
    return Client(str(range_.first + offset), range_.operator_code, range_.timezone, tag)


def _most_varied_first(plan: Sequence[Range], random: Random) -> list[Range]:
    """First those that bring both a new zone and a new code, then those that bring a new code, then the rest.

    The zones with the fewest ranges choose their codes first, so that every zone finds one that is still free.
    """
    waiting = random.sample(plan, len(plan))
    size = Counter(range_.timezone for range_ in plan)
    waiting.sort(key=lambda range_: size[range_.timezone])
    ordered: list[Range] = []
    seen: set[str] = set()
    for news in (2, 1):
        for range_ in waiting:
            if len({range_.timezone, range_.operator_code} - seen) == news:
                seen |= {range_.timezone, range_.operator_code}
                ordered.append(range_)
    taken = set(ordered)
    rest = [range_ for range_ in waiting if range_ not in taken]
    return ordered + random.sample(rest, len(rest))


def _coprime(number: int, other: int) -> int:
    """The first number from `number` on that shares no divisor with `other`."""
    while math.gcd(number, other) != 1:
        number += 1
    return number
