"""A message whose dispatcher is gone, or too slow, is sent by another one."""

from collections.abc import Mapping

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import HeldUp, Isolation
from dispatcher_service.leading.lease_guard import LeaseGuard
from shared import metrics
from shared.clock import ticks
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.messages.rescue import Lost, find_lost, rescue_messages

RESCUE_AFTER = 5.0
"""Seconds after taking the lead: when the database comes back, dispatchers first write what they know."""

RESCUE_SLICE = 5_000


class RescueLeases(Chore):
    """Frees messages whose lease ran out, mailing by mailing."""

    name = "rescue_leases"
    pause = 0.25

    def __init__(self, attempts: int, guard: LeaseGuard) -> None:
        """attempts: provider calls at the most. guard: asked in every transaction before it believes the clock."""
        super().__init__()
        self._attempts = attempts
        self._guard = guard
        self._next_at = ticks() + RESCUE_AFTER

    def work(self, step: Step) -> bool | None:
        left_out = step.acts.mailings_set_aside(self.name)

        def find(connection: Connection, _entries: Entries) -> Mapping[int, Lost]:
            return find_lost(connection, RESCUE_SLICE, left_out) if self._guard.trusts(connection) else {}

        lost = step.acts.run(self.name, None, find)
        if lost is None:
            return None
        return self.in_turn(list(lost), lambda mailing_id: self._rescue(step.acts, mailing_id, lost[mailing_id]))

    def _rescue(self, acts: Isolation, mailing_id: int, lost: Lost) -> int | None:
        def rescue(connection: Connection, entries: Entries) -> int:
            if not self._guard.trusts(connection):
                return 0
            rescued = rescue_messages(connection, entries, self._attempts, lost)
            if not rescued and mailing_id in find_lost(connection, RESCUE_SLICE):
                raise HeldUp
            return rescued

        rescued = acts.run(self.name, mailing_id, rescue)
        if rescued:
            metrics.MESSAGES_RESCUED.inc(rescued)
            logger().warning("leases_ran_out", mailing_id=mailing_id, count=rescued)
        return rescued
