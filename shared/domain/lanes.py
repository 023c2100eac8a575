"""Which providers may take a message: its lane. Pure.

A lane has a number, which stands in a message's row, and providers, which may change. Lane 0 is that of all messages
for which nobody asked for certain providers. A provider's own lane bears its number: there is what a mailing wants to
send through it, what the clients of an operator get through it alone, and what it may have taken already. Where the
clients of an operator may have one of several, these have a lane of their own.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

ANY = 0
"""The lane of those who want no certain provider."""

FIRST_PROVIDER = 1
"""The number of the provider that was known first, and alone: what bears no number of one was its."""

FIRST_OF_SEVERAL = 1_000
"""Lanes of several providers are numbered from here on: nobody has so many providers."""


def is_shared(lane: int) -> bool:
    """Whether it is one in which weights count: it is no provider's own."""
    return lane == ANY or lane >= FIRST_OF_SEVERAL


class Entry(NamedTuple):
    """What a provider's settings say of who goes there.

    weight: its part of what several may take, beside the weights of the others; 0: none. operator_codes: their clients
    go to the providers that name their code, and to no other. senders: what a mailing that names one of them says it
    comes from, which goes only to those that may.
    """

    name: str
    weight: int = 1
    operator_codes: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()


class Lane(NamedTuple):
    """providers: by their numbers. operator_codes: whose clients have this lane. senders: mailings that name one have
    it, whoever their clients are; not those that any provider may be given."""

    providers: tuple[int, ...]
    operator_codes: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()


def lanes_of(entries: Mapping[int, Entry], known: Mapping[int, Collection[int]]) -> Mapping[int, Lane]:
    """The lanes by their numbers, for providers by theirs.

    known: the providers of the lanes that there were. A set of several keeps its number, and no number is given to
    another set; a lane that nobody has any more is not among those returned. Who is alone, and always was, has all in
    one lane: there is nothing to tell apart.
    """
    if set(entries) == {FIRST_PROVIDER} and not known.keys() - {ANY}:
        return {ANY: Lane((FIRST_PROVIDER,))}
    anybody = frozenset(entries)
    codes = _by_members({number: entry.operator_codes for number, entry in entries.items()})
    senders = _by_members({number: entry.senders for number, entry in entries.items()})
    senders = {members: names for members, names in senders.items() if not anybody <= members}
    numbers = {frozenset({number}): number for number in entries}
    several = {frozenset(members): lane for lane, members in known.items() if lane >= FIRST_OF_SEVERAL}
    next_lane = max([FIRST_OF_SEVERAL - 1, *known]) + 1
    for members in sorted((codes.keys() | senders.keys()) - numbers.keys(), key=sorted):
        numbers[members] = several.get(members, next_lane)
        next_lane += numbers[members] == next_lane
    lanes = {ANY: Lane(tuple(sorted(anybody)))}
    for members, number in numbers.items():
        lanes[number] = Lane(tuple(sorted(members)), codes.get(members, ()), senders.get(members, ()))
    return lanes


def _by_members(named: Mapping[int, Collection[str]]) -> dict[frozenset[int], tuple[str, ...]]:
    """Names by those who name them. named: what each does."""
    members: dict[str, set[int]] = defaultdict(set)
    for number, names in named.items():
        for name in names:
            members[name].add(number)
    names_of: dict[frozenset[int], tuple[str, ...]] = {}
    for name in sorted(members):
        who = frozenset(members[name])
        names_of[who] = (*names_of.get(who, ()), name)
    return names_of


def lane_of_code(lanes: Mapping[int, Lane]) -> Mapping[str, int]:
    """The lanes of clients whose operator has certain providers, by its code."""
    return {code: number for number, lane in lanes.items() for code in lane.operator_codes}


def lane_of_sender(lanes: Mapping[int, Lane]) -> Mapping[str, int]:
    """The lanes of mailings that name a sender which not every provider may be given."""
    return {sender: number for number, lane in lanes.items() for sender in lane.senders}
