"""How many messages may be claimed by the limits: that of all providers together, and those of each."""

import random
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import NamedTuple

from sqlalchemy import Engine

from dispatcher_service.pipeline.allowance import Allowance
from shared.clock import ticks
from shared.database.engine import one_statement
from shared.rates.limits import reserve

SHORT_FOR = 1.0
"""Seconds. While there is something to claim the limits are asked far more often."""


class _Permit(NamedTuple):
    """limits: messages per second over all dispatchers, by the names of `shared.rates.limits`."""

    limits: Mapping[str, float]
    allowance: Allowance


class Permits:
    """Belongs to one thread. Providers that have the same limits share what is reserved of them."""

    def __init__(self, engine: Engine, limits: Mapping[str, Mapping[str, float]]) -> None:
        """limits: by provider, as `_Permit` has them; none where it has none."""
        self._engine = engine
        permits: dict[frozenset[str], _Permit] = {}
        self._of: dict[str, _Permit] = {}
        for name, own in limits.items():
            if own:
                permit = permits.setdefault(frozenset(own), _Permit(own, Allowance(random.random)))
                self._of[name] = permit
        self._permits = tuple(permits.values())
        self._later: dict[str, deque[float]] = defaultdict(deque)  # moments at which messages are to go out
        self._short_at: dict[str, float] = {}  # when more was wanted of a provider than was allowed; in ticks

    def __bool__(self) -> bool:
        return bool(self._of)

    def is_short(self, name: str) -> bool:
        """Whether more was wanted the last time than was allowed. Of one of which nothing is wanted nobody knows."""
        return ticks() - self._short_at.get(name, -inf) <= SHORT_FOR

    @property
    def has_some_left(self) -> bool:
        """Whether something is reserved that was not used."""
        now = ticks()
        return any(permit.allowance.left(now) for permit in self._permits)

    def allowed(self, wanted: Mapping[str, int], job: int) -> Sequence[tuple[Collection[str], int]]:
        """How many of the messages that are wanted of each provider may be claimed now, by those that share a limit;
        not of those that have none. What is claimed can go out within half a second. job: messages of a whole one."""
        allowed = []
        for permit in self._permits:
            names = [name for name in wanted if self._of.get(name) is permit]
            if total := sum(wanted[name] for name in names):
                left = self._reserved(permit, total, job)
                for name in names:
                    if left < total:
                        self._short_at[name] = ticks()
                    else:
                        self._short_at.pop(name, None)
                allowed.append((names, left))
        return allowed

    def _reserved(self, permit: _Permit, wanted: int, job: int) -> int:
        limits, allowance = permit
        if allowance.asks(ticks()):
            with one_statement(self._engine) as connection:
                reserved = reserve(connection, limits, allowance.worth(wanted, job, min(limits.values())))
            allowance.got(*reserved, ticks())
        return min(wanted, allowance.left(ticks()))

    def use(self, name: str, messages: int) -> Sequence[float]:
        """The moments at which so many may go out through a provider; none where it has no limit. A probe, for which
        nothing was reserved, may at once."""
        permit = self._of.get(name)
        if permit is None:
            return ()
        moments = permit.allowance.use(min(messages, permit.allowance.reserved))
        self._later[name].extend(moments)
        return [*moments, *[ticks()] * (messages - len(moments))]

    def later(self, name: str) -> int | None:
        """How many messages of a provider wait for their moment; None: it has no limit."""
        if name not in self._of:
            return None
        moments, now = self._later[name], ticks()
        while moments and moments[0] <= now:
            moments.popleft()
        return len(moments)
