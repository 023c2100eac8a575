"""Which of the providers of a lane takes how many of its messages. Pure.

By their weights: in one go a provider is ahead of another by a little at the most, even if that one has no room for the
moment, so that messages do not go where they are dear only because it is quick there. What it is behind by more is
forgotten with the next: so one that answers slowly, or not at all, holds nobody up, while its share is taken back
(`dispatcher_service.leading.shares`). Who says how much it takes, by a limit or by 429, leaves the rest to the others
at once; and who is down, or held by a person, all of it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

LEAD = 100
"""Messages of one claim by which one that has room may be ahead of its part while another has none."""

Together = Mapping[frozenset[int], int]
"""How many messages these providers may take, all of them together."""

_APART: Together = {}


class Offer(NamedTuple):
    """What a provider takes now.

    weight: beside those of others; 0: nothing that others may take as well. is_up: whether it takes messages at all.
    is_limited: whether it is known how many it takes.
    """

    weight: float
    room: int
    is_up: bool = True
    is_limited: bool = False


class Choice:
    """Belongs to one thread, for as long as it lives: it remembers who has had how much of which lane."""

    def __init__(self) -> None:
        self._had: dict[tuple[int, int], float] = {}  # by lane and provider: messages for each part of its weight

    def plan(self, lanes: Mapping[int, Sequence[int]], offers: Mapping[int, Offer]) -> "Plan":
        """lanes: the providers of each. offers: by provider; one that is not there has none."""
        return Plan(lanes, offers, {number: offer.room for number, offer in offers.items()}, self._had)

    def settle(self, plan: "Plan") -> None:
        """It was carried out."""
        self._had = plan.had


class Plan:
    """Who takes what of one claim."""

    def __init__(
        self,
        lanes: Mapping[int, Sequence[int]],
        offers: Mapping[int, Offer],
        room: Mapping[int, int],
        had: Mapping[tuple[int, int], float],
        together: Together = _APART,
    ) -> None:
        self._lanes, self._offers, self._room, self._before = lanes, offers, dict(room), had
        self._left = dict(together)
        self._partners = {number: numbers for numbers in together for number in numbers}
        self.had = dict(had)
        self._caught_up: set[int] = set()  # lanes
        self.taken: dict[int, int] = {}
        """Messages by provider."""

    @property
    def room(self) -> int:
        """What is left of it."""
        apart = sum(room for number, room in self._room.items() if number not in self._partners)
        return apart + sum(min(left, sum(map(self._room_of, numbers))) for numbers, left in self._left.items())

    def within(self, room: Mapping[int, int], together: Together = _APART) -> "Plan":
        """The same anew, with no more than so much room."""
        return Plan(self._lanes, self._offers, room, self._before, together)

    def take(self, lane: int, wanted: int) -> Sequence[tuple[int, int]]:
        """Who takes so many of a lane, or as many of them as there is room for."""
        members = [number for number in self._lanes.get(lane, ()) if number in self._offers]
        if len(members) == 1:
            return self._give(members[0], min(wanted, self._room_of(members[0])))
        able = {number: offer for number in members if (offer := self._offers[number]).is_up and offer.weight > 0}
        shares: dict[int, int] = {}
        if lane not in self._caught_up:
            self._catch_up(lane, list(able))
            self._caught_up.add(lane)
        while wanted > 0 and (number := self._next(lane, able)) is not None:
            step = min(wanted, LEAD // 10, self._room_of(number))
            self._give(number, step)
            shares[number] = shares.get(number, 0) + step
            self.had[lane, number] += step / able[number].weight
            wanted -= step
        return list(shares.items())

    def _give(self, number: int, messages: int) -> Sequence[tuple[int, int]]:
        if messages <= 0:
            return ()
        self._room[number] -= messages
        if partners := self._partners.get(number):
            self._left[partners] -= messages
        self.taken[number] = self.taken.get(number, 0) + messages
        return ((number, messages),)

    def _room_of(self, number: int) -> int:
        room, partners = self._room.get(number, 0), self._partners.get(number)
        return min(room, self._left[partners]) if partners else room

    def _next(self, lane: int, able: Mapping[int, Offer]) -> int | None:
        """Who has had least for its weight, of those with room; None: nobody has, or all of these are too far ahead."""
        roomy = [number for number in able if self._room_of(number) > 0]
        if not roomy:
            return None
        first = min(roomy, key=lambda number: (self.had[lane, number], number))
        behind = [
            self.had[lane, number] for number, offer in able.items() if number not in roomy and not offer.is_limited
        ]
        lead = (self.had[lane, first] - min(behind)) * able[first].weight if behind else 0.0
        return None if lead > LEAD else first

    def _catch_up(self, lane: int, numbers: Sequence[int]) -> None:
        """Who was down, limited, or is new has little to make up for; who has no room now, nothing."""
        most = max((self.had[lane, number] for number in numbers if (lane, number) in self.had), default=0.0)
        for number in numbers:
            least = most - LEAD / self._offers[number].weight if self._room_of(number) > 0 else most
            self.had[lane, number] = max(self.had.get((lane, number), most), least)


class Sole:
    """The plan where there is one provider, which is number 0."""

    had: Mapping[tuple[int, int], float] = {}

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: dict[int, int] = {}

    def within(self, room: Mapping[int, int], together: Together = _APART) -> "Sole":
        return Sole(min([room.get(0, 0), *together.values()]))

    def take(self, _lane: int, wanted: int) -> Sequence[tuple[int, int]]:
        number = min(wanted, self.room)
        self.room -= number
        self.taken[0] = self.taken.get(0, 0) + number
        return ((0, number),) if number else ()
