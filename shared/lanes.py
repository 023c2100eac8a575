"""Providers and their lanes, as all processes know them: rows that whoever has newer settings writes.

A dispatcher writes at its start which providers it has and who goes where; everybody else reads it here. A number is
given to a provider once and stays its own, as messages bear it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.lanes import ANY, FIRST_PROVIDER, Entry, Lane, is_shared, lane_of_code, lane_of_sender, lanes_of
from shared.domain.profile.provider import Provider
from shared.domain.seen import Seen


class Known(NamedTuple):
    """A provider. is_there: dispatchers have it by their settings. weight: of a person, or of the settings. share: how
    much of that counts, in hundredths."""

    number: int
    name: str
    is_there: bool
    is_paused: bool
    weight: int
    share: int


@dataclass(frozen=True)
class Lanes:
    """What stands in the rows at a moment. providers: by number. lanes: the providers of each. lane_of_code: of clients
    whose operator has certain providers. lane_of_sender: of mailings that name a sender which not every provider may be
    given. routing: counts the changes of where messages go."""

    providers: Mapping[int, Known]
    lanes: Mapping[int, Sequence[int]]
    lane_of_code: Mapping[str, int]
    lane_of_sender: Mapping[str, int]
    routing: int

    @property
    def are_several(self) -> bool:
        """Whether more than one provider was ever known: only then messages say whose they are."""
        return len(self.providers) > 1

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Of providers, by name."""
        return {known.name: known.number for known in self.providers.values()}

    def unserved_by(self, up: set[int]) -> set[int]:
        """Lanes of which nothing can be sent while these providers alone can send. Where there is one provider that is
        no lane: then nobody is to be let past. up: by number."""
        if not self.are_several:
            return set()
        able = {number for number in up if self.providers[number].weight > 0}
        return {
            lane for lane, members in self.lanes.items() if not (able if is_shared(lane) else up).intersection(members)
        }

    def route(self, provider: str | None, sender: str | None, *, test: bool = False) -> "Route":
        """Where the messages of a mailing go that names these, or neither. test: nobody is to have them."""
        if test:
            return Route(ANY, {})
        if provider is not None:
            own = self.numbers[provider]
            return Route(own if own in self.lanes else ANY, {})  # one that is alone has no lane of its own
        if sender is not None and sender in self.lane_of_sender:
            return Route(self.lane_of_sender[sender], {})
        return Route(ANY, self.lane_of_code)


class Route(NamedTuple):
    """lane: of all messages of a mailing, but those to the clients of these operators, by code."""

    lane: int
    codes: Mapping[str, int]


NONE_KNOWN = Lanes({}, {ANY: ()}, {}, {}, 0)


def entry_of(provider: Provider) -> Entry:
    return Entry(provider.name, provider.routing.weight, provider.routing.operator_codes, provider.senders)


def register(connection: Connection, entries: Iterable[Entry]) -> None:
    """These are the providers from now on, and no others. Who does it last is believed."""
    connection.execute(_ALONE)
    by_name = {entry.name: entry for entry in entries}
    before = read(connection)
    given = max([FIRST_PROVIDER - 1, *before.providers])
    numbers = dict(before.numbers)
    for name in by_name:
        if name not in numbers:
            numbers[name] = given = given + 1
    lanes = lanes_of({numbers[name]: entry for name, entry in by_name.items()}, before.lanes)
    weights = {name: entry.weight for name, entry in by_name.items()}
    if before == _of(lanes, before) and weights == dict(connection.execute(_GIVEN).all()):
        return  # without a write: a dispatcher that starts waits for nobody's disk
    connection.execute(
        _REGISTER,
        {
            "numbers": [numbers[name] for name in by_name],
            "names": list(by_name),
            "weights": [entry.weight for entry in by_name.values()],
        },
    )
    rows = [
        {
            "number": number,
            "providers": list(lane.providers),
            "codes": list(lane.operator_codes),
            "senders": list(lane.senders),
        }
        for number, lane in lanes.items()
    ]
    is_new = (
        lanes.keys() - before.lanes.keys()
        or before.lane_of_code != lane_of_code(lanes)
        or before.lane_of_sender != lane_of_sender(lanes)
    )
    connection.execute(_SET, rows)
    connection.execute(_EMPTY_OTHERS, {"numbers": list(lanes)})
    if is_new:
        connection.execute(_ROUTE_ANEW)


def _of(lanes: Mapping[int, Lane], before: Lanes) -> Lanes:
    """What the rows would say with these lanes, and no others."""
    others = dict.fromkeys(before.lanes, ())
    members = {**others, **{number: lane.providers for number, lane in lanes.items()}}
    return replace(before, lanes=members, lane_of_code=lane_of_code(lanes), lane_of_sender=lane_of_sender(lanes))


_GIVEN = text("select name, given_weight from providers where is_there")

_ALONE = text("select pg_advisory_xact_lock(hashtext('lanes'))")

_REGISTER = text("""
    with mine as (
        select * from unnest(cast(:numbers as smallint[]), cast(:names as text[]), cast(:weights as integer[]))
            as mine (number, name, weight)
    ), gone as (
        update providers set is_there = false where is_there and name <> all(cast(:names as text[]))
    )
    insert into providers as p (number, name, given_weight) select number, name, weight from mine
    on conflict (name) do update set is_there = true, given_weight = excluded.given_weight
    where not p.is_there or p.given_weight <> excluded.given_weight
""")

_SET = text("""
    insert into lanes as l (number, providers, operator_codes, senders) values (:number, :providers, :codes, :senders)
    on conflict (number) do update
    set providers = excluded.providers, operator_codes = excluded.operator_codes, senders = excluded.senders
    where (l.providers, l.operator_codes, l.senders)
        is distinct from (excluded.providers, excluded.operator_codes, excluded.senders)
""")

# What still waits there waits for them to come back, as far as it may go nowhere else.
_EMPTY_OTHERS = text("""
    update lanes set providers = '{}', operator_codes = '{}', senders = '{}'
    where number <> all(:numbers) and providers <> '{}'
""")

# Where whose messages go has changed: what waits gets its lane anew.
_ROUTE_ANEW = text(f"update lanes set routing = routing + 1 where number = {ANY}")


def read(connection: Connection) -> Lanes:
    """As they are now, in one look."""
    providers: dict[int, Known] = {}
    lanes: dict[int, Lane] = {}
    routing = 0
    for row in connection.execute(_READ):
        if row.name is None:
            lanes[row.number] = Lane(tuple(row.members), tuple(row.codes), tuple(row.senders))
            routing = max(routing, row.routing)
        else:
            is_paused = row.paused_at is not None
            providers[row.number] = Known(row.number, row.name, row.is_there, is_paused, row.weight, row.share)
    members = {number: lane.providers for number, lane in lanes.items()}
    return Lanes(providers, members, lane_of_code(lanes), lane_of_sender(lanes), routing)


_READ = text("""
    select number, name, is_there, paused_at, coalesce(weight, given_weight) as weight, share,
           null as members, null as codes, null as senders, null as routing
    from providers
    union all
    select number, null, null, null, null, null, providers, operator_codes, senders, routing from lanes
    order by number
""")


def is_known(connection: Connection, name: str) -> bool:
    """Whether dispatchers have a provider of this name by their settings."""
    return bool(connection.scalar(_IS_KNOWN, {"name": name}))


_IS_KNOWN = text("select exists (select from providers where name = :name and is_there)")


def share_out(connection: Connection, shares: Mapping[str, int]) -> None:
    """How much of the weights counts from now on, in hundredths, by provider."""
    if shares:
        connection.execute(_SHARE_OUT, {"names": list(shares), "shares": list(shares.values())})


_SHARE_OUT = text("""
    update providers p set share = given.share
    from unnest(cast(:names as text[]), cast(:shares as smallint[])) as given (name, share) where p.name = given.name
""")


def full(known: Lanes, seen: Collection[Mapping[str, Seen]]) -> Mapping[int, float]:
    """Lanes of which dispatchers get more than they can send, and how many messages a second they send of each."""
    if not known.are_several:
        return {}
    speeds: dict[int, float] = {}
    for lane, members in known.lanes.items():
        names = {known.providers[number].name for number in members}
        mine = [one for each in seen for name, one in each.items() if name in names and not one["open"]]
        if mine and all(one["full"] for one in mine):
            speeds[lane] = sum(one["speed"] for one in mine)
    return speeds


def closed(known: Lanes, seen: Collection[Mapping[str, Seen]]) -> set[int]:
    """Lanes of which nothing can be sent, as far as is known. seen: by each dispatcher that is alive, of providers by
    name."""
    if not seen:
        return set()
    up = {
        number
        for number, one in known.providers.items()
        if not one.is_paused and any(one.name in each and not each[one.name]["open"] for each in seen)
    }
    return known.unserved_by(up)
