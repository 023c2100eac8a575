"""Mailings that share a pace by the rule of `fair_share`, and the same ones where the nearest end has it all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from dispatcher_service.leading.fair_share import Due, FairShare, Lane
from shared.domain.priority import Priority

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 0.25
"""Seconds from one look of the leader to the next."""

SPARE = 5.0
"""Seconds before their end at which the others must be done to count."""


@dataclass(slots=True)
class Mailing:
    """Times are in seconds since the start. first, done: when its first and its last message went out."""

    size: int
    ends: float
    priority: Priority = Priority.NORMAL
    starts: float = 0.0
    left: int = 0
    first: float | None = None
    done: float | None = None

    def __post_init__(self) -> None:
        self.left = self.size

    def is_due(self, now: float) -> bool:
        return self.starts <= now < self.ends and self.left > 0

    def serve(self, messages: int, now: float) -> None:
        self.left -= messages
        if messages and self.first is None:
            self.first = now
        if not self.left and self.done is None:
            self.done = now


@dataclass
class Feed:
    """A leader that looks at what is due in every step, with room for what the provider takes in it."""

    mailings: Sequence[Mailing]
    share: FairShare = field(default_factory=FairShare)
    now: float = 0.0
    given: Counter[int] = field(default_factory=Counter)

    def step(self, room: int) -> int:
        self.share.see(self.due())
        served = self.share.feed(room, self.take)
        self.now += STEP
        return served

    def due(self) -> Iterable[Due]:
        for number, mailing in enumerate(self.mailings):
            if mailing.is_due(self.now):
                yield Due(number, 0, mailing.priority, START + timedelta(seconds=mailing.ends))

    def take(self, lanes: Sequence[Lane], each: int, most: int) -> Sequence[int]:
        taken = []
        for lane in lanes:
            mailing = self.mailings[lane.mailing_id]
            messages = min(each, most, mailing.left)
            mailing.serve(messages, self.now)
            self.given[lane.mailing_id] += messages
            most -= messages
            taken.append(messages)
        assert most >= 0
        return taken


def run(mailings: Sequence[Mailing], pace: float) -> Feed:
    """Until everything is done or over."""
    feed, owed = Feed(mailings), 0.0
    while any(mailing.left and mailing.ends > feed.now for mailing in mailings):
        room, owed = divmod(owed + pace * STEP, 1)
        feed.step(int(room))
    return feed


def nearest_end_first(mailings: Sequence[Mailing], pace: float) -> set[int]:
    """Which of them are done SPARE seconds before their end where the nearest end has it all, at a given pace."""
    left, met, now, owed = [mailing.size for mailing in mailings], set[int](), 0.0, 0.0
    order = sorted(range(len(mailings)), key=lambda number: (mailings[number].ends, number))
    while any(left[number] and mailing.ends > now for number, mailing in enumerate(mailings)):
        room, owed = divmod(owed + pace * STEP, 1)
        for number in order:
            mailing = mailings[number]
            if left[number] and mailing.starts <= now < mailing.ends:
                messages = min(left[number], int(room))
                left[number], room = left[number] - messages, room - messages
                if not left[number] and now <= mailing.ends - SPARE:
                    met.add(number)
        now += STEP
    return met


class Found(NamedTuple):
    """sets: so many were drawn. wanted: mailings that nearest-end-first meets with a tenth and SPARE seconds to spare.
    missed: those of them that are not done before their end. first: the longest time to a first message, in seconds, of
    those that a tenth of the pace serves in less than SPARE seconds."""

    sets: int
    wanted: int
    missed: int
    first: float


def draw(random: Random, pace: float) -> list[Mailing]:
    """Between half and nearly all of what the pace can do is asked for, in sizes from a handful to most of it."""
    span = random.uniform(20, 200)
    left, mailings = pace * span * random.uniform(0.5, 1.05), list[Mailing]()
    while left > 0 and len(mailings) < 40:
        size = 1 + int(min(left, pace * span * 10 ** random.uniform(-4, 0)))
        starts = random.choice((0.0, random.uniform(0, span / 2)))
        mailings.append(Mailing(size, starts + random.uniform(size / pace, span), starts=starts))
        left -= size
    return mailings


def try_many(random: Random, sets: int = 150) -> Found:
    wanted = missed = 0
    first = 0.0
    for _ in range(sets):
        pace = 10 ** random.uniform(0.5, 2.5)
        mailings = draw(random, pace)
        due = nearest_end_first(mailings, (1 - 0.1) * pace)
        run(mailings, pace)
        wanted += len(due)
        missed += sum(mailings[number].done is None for number in due)
        if len(mailings) <= SPARE * pace / 10:
            first = max([first, *(each.first - each.starts for each in mailings if each.first is not None)])
    return Found(sets, wanted, missed, first)


def urgent_behind_a_huge_one(pace: float, urgent: int = 20) -> float:
    """Seconds until the last of so many urgent messages is given out, while a huge mailing is under way."""
    mailings = [Mailing(10**7, 10_000.0), Mailing(urgent, 60.0, Priority.URGENT, starts=10.0)]
    feed, owed = Feed(mailings), 0.0
    while mailings[1].done is None:
        room, owed = divmod(owed + pace * STEP, 1)
        feed.step(int(room))
    return mailings[1].done - mailings[1].starts
