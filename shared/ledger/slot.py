"""The slot that a process counts in."""

import os
import secrets
import socket
from datetime import timedelta

from sqlalchemy import Connection, text

from shared.clock import ticks

LEASE = timedelta(minutes=1)
RENEW_EVERY = 20.0
"""Seconds; renewed in passing, by whoever writes."""


class Slot:
    """The lowest slot that is free when it is asked for first, leased, so that there are no more than processes.

    A lease in a table and no lock of a session, which would be lost behind a pooler. Nothing depends on it: two that
    count in one slot wait for each other's commits, and count right. So a lease that ran out, or was rolled back, does
    no harm until the next renewal.
    """

    def __init__(self, name: str) -> None:
        """name: of the part that counts, for people who look into the table."""
        self._holder = f"{name} {socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._number = 0
        self._left: int | None = None
        self._renew_at = 0.0

    def number(self, connection: Connection) -> int:
        """To be asked for in the transaction that writes. May be called from several threads."""
        if ticks() >= self._renew_at:
            self._renew_at = ticks() + RENEW_EVERY
            lease = {"holder": self._holder, "lease": LEASE}
            number = connection.scalar(_RENEW, lease | {"slot": self._number, "left": self._left})
            if number is None:
                number = connection.scalar(_TAKE, lease | {"left": self._left})
            if number is None:  # somebody was faster; one is shared until the next try
                self._renew_at = 0.0
            else:
                self._number = number
        return self._number

    def leave(self) -> None:
        """Somebody holds rows of the slot and does not give them back: it is to be another one from now on."""
        self._left, self._renew_at = self._number, 0.0


_RENEW = text("""
    update ledger_slots set until = now() + :lease
    where slot = :slot and holder = :holder and slot is distinct from :left returning slot
""")

# Two more than there are rows: at least one of these is free and not the one that was left.
_TAKE = text("""
    insert into ledger_slots as s (slot, holder, until)
    select slot, :holder, now() + :lease
    from generate_series(0, (select count(*) + 1 from ledger_slots)) slot
    where slot is distinct from :left
      and not exists (select from ledger_slots taken where taken.slot = slot.slot and taken.until > now())
    order by slot limit 1
    on conflict (slot) do update set holder = excluded.holder, until = excluded.until where s.until <= now()
    returning s.slot
""")
