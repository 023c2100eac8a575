"""What one dispatcher knows of providers and lanes, and who is to take what."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from dispatcher_service.pipeline.choice import Choice, Offer, Plan, Sole
from dispatcher_service.pipeline.permits import Permits
from dispatcher_service.sending.line import Line
from shared import lanes
from shared.clock import ticks
from shared.domain.profile.provider import Provider
from shared.lanes import NONE_KNOWN, Known, entry_of

LOOK_EVERY = 1.0
"""Seconds from one look to the next: what a person says of a provider acts within so many."""

Probing = tuple[int, Collection[int]]
"""A provider that is to be probed now, and the lanes of which it may have a message."""

PROBE_AGAIN = 1.0
"""Seconds after which a probe is looked for again, where nothing was due."""


class Routes:
    """Belongs to one thread."""

    def __init__(self, lines: Mapping[str, Line], providers: Sequence[Provider], permits: Permits) -> None:
        """lines: by provider. providers: those that this dispatcher has by its settings."""
        self._lines = lines
        self._entries = [entry_of(provider) for provider in providers]
        self._permits = permits
        self._choice = Choice()
        self._known = NONE_KNOWN
        self._next_look = 0.0
        self._is_registered = False
        self._probe_at: dict[str, float] = {}

    @property
    def is_due(self) -> bool:
        return ticks() >= self._next_look

    def look(self, connection: Connection) -> None:
        """In a transaction of its own; to be called when it `is_due`."""
        if not self._is_registered:
            lanes.register(connection, self._entries)
        self._known = lanes.read(connection)
        for known, line in self._mine():
            line.is_held = known.is_paused

    def looked(self) -> None:
        """It was committed."""
        self._is_registered = True
        self._next_look = ticks() + LOOK_EVERY

    @property
    def are_several(self) -> bool:
        """Whether messages say through whom they go."""
        return self._known.are_several

    def line(self, number: int) -> Line:
        """Of a provider, by its number; 0: the only one."""
        return self._lines[self._known.providers[number].name] if number else next(iter(self._lines.values()))

    def name(self, number: int) -> str:
        return self.line(number).name

    def plan(self) -> Plan | Sole:
        """Who takes what now. Who is looked for by a probe takes nothing else."""
        for name, line in self._lines.items():
            line.later = self._permits.later(name)
        if not self.are_several:
            return Sole(self.line(0).room)
        return self._choice.plan(
            self._known.lanes, {known.number: self._offer(known, line) for known, line in self._mine()}
        )

    def settle(self, plan: Plan | Sole) -> None:
        if isinstance(plan, Plan):
            self._choice.settle(plan)

    def closed(self) -> set[int]:
        """Lanes of which nothing can be sent here for a while."""
        up = {known.number for known, line in self._mine() if not (line.is_held or line.is_probing)}
        return self._known.unserved_by(up)

    def probes(self) -> Iterator[Probing]:
        """Where there are several."""
        now = ticks()
        for known, line in self._mine() if self.are_several else ():
            if line.is_probing and line.room > 0 and now >= self._probe_at.get(known.name, 0.0):
                self._probe_at[known.name] = now + PROBE_AGAIN
                yield known.number, [lane for lane, members in self._known.lanes.items() if known.number in members]

    def _mine(self) -> Iterator[tuple[Known, Line]]:
        for known in self._known.providers.values():
            if line := self._lines.get(known.name):
                yield known, line

    def _offer(self, known: Known, line: Line) -> Offer:
        is_up = not (line.is_held or line.is_probing)
        is_limited = line.pace is not None or line.later is not None
        return Offer(known.weight * known.share / 100, line.room if is_up else 0, is_up, is_limited)
