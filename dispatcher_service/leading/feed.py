"""What is due goes to the broker, in jobs, and no more of them than the dispatchers need."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from dispatcher_service.leading.isolation import Act, HeldUp, Isolation
from dispatcher_service.leading.publisher import Batch, Publisher, Room
from shared.domain.job import DispatchJob
from shared.ledger.entries import Entries
from shared.messages.hand_back import hand_back
from shared.messages.make_due import make_due
from shared.messages.take import is_all_locked, take_messages

CHUNK = 200
"""Messages per job, at the most."""


class Feed:
    """Takes what is due from the database for the publisher. Belongs to the leading thread."""

    def __init__(self, publisher: Publisher, *, rate: float, concurrency: int) -> None:
        """rate, concurrency: as the dispatchers have them."""
        self._publisher = publisher
        self._chunk = _chunk(rate, concurrency)
        self._losses_made_up = 0

    def run(self, acts: Isolation, due: Sequence[int]) -> None:
        """Takes from one mailing after the other until there is no more room on the broker. due: ids of mailings with
        messages that are due, nearest end first."""
        self._hand_back(acts)
        room = self._publisher.begin()
        try:
            self._make_up_for_losses(acts, room)
            self._use(acts, room.jobs, due)
        finally:
            self._publisher.end(is_wanted=bool(due))

    def _use(self, acts: Isolation, room: int, due: Sequence[int]) -> None:
        for mailing_id in due:
            if room <= 0:
                return
            if ids := acts.run("feed", mailing_id, _taking(mailing_id, room * self._chunk)):
                jobs = [DispatchJob(mailing_id, tuple(chunk)).encode() for chunk in _chunks(ids, self._chunk)]
                self._publisher.hand_over(Batch(mailing_id, ids, jobs))
                room -= len(jobs)

    def _hand_back(self, acts: Isolation) -> None:
        """What could not be published is due again. If that fails, it is so half a minute later by itself."""
        for batch in self._publisher.take_failed():
            acts.run("hand_back", batch.mailing_id, _handing_back(batch))

    def _make_up_for_losses(self, acts: Isolation, room: Room) -> None:
        """What is queued while the broker is empty may have been lost."""
        if room.is_empty and room.losses > self._losses_made_up and acts.run("make_due", None, _making_due):
            self._losses_made_up = room.losses


def _taking(mailing_id: int, limit: int) -> Act[list[int]]:
    def take(connection: Connection, entries: Entries) -> list[int]:
        ids = take_messages(connection, entries, mailing_id, limit)
        if not ids and is_all_locked(connection, mailing_id):
            raise HeldUp
        return ids

    return take


def _handing_back(batch: Batch) -> Act[None]:
    return lambda connection, entries: hand_back(connection, entries, batch.mailing_id, batch.message_ids)


def _making_due(connection: Connection, entries: Entries) -> bool:
    make_due(connection, entries)
    return True


def _chunk(rate: float, concurrency: int) -> int:
    """Messages per job: no more than a dispatcher sends at a time. What it has received lies ahead of mailings that are
    more urgent and is kept from dispatchers that are idle, so it must not be more than can be sent soon."""
    chunk = min(CHUNK, concurrency)
    return min(chunk, max(1, int(rate / 2))) if rate else chunk


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
