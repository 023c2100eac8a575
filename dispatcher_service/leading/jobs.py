"""How large a job is, and what goes into which. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain.job import DispatchJob, Piece

SECONDS = 0.25
"""How long a dispatcher of the mean pace is to work on a job. What it has in hand is out of reach of mailings that are
more urgent, and kept from dispatchers that are idle; with smaller ones the broker has more to do."""

LEAST, MOST = 1, 4_000
BEGIN_WITH = 200
"""Messages of a job while nobody knows how fast the dispatchers are; or as many as one sends at a time, if fewer."""


def job_size(paces: Iterable[float], concurrency: int, rate: float) -> int:
    """Messages of a job.

    Args:
        paces: messages per second of each dispatcher that is alive; 0 where that is not known.
        concurrency: calls that a dispatcher makes at a time.
        rate: messages per second over all dispatchers; 0 where that is not limited.
    """
    alive = list(paces)
    known = [pace for pace in alive if pace > 0]
    size = sum(known) / len(known) * SECONDS if known else min(BEGIN_WITH, concurrency)
    if rate:
        size = min(size, rate / max(1, len(alive)) * SECONDS)
    return min(max(int(size), LEAST), MOST)


def pack(pieces: Sequence[Piece], size: int, read_at: float) -> list[DispatchJob]:
    """Jobs of so many messages, in the order of the pieces; small ones share a job.

    read_at: as `DispatchJob` has it.
    """
    jobs: list[DispatchJob] = []
    packed: list[Piece] = []
    room = size
    for piece in pieces:
        start = 0
        while start < len(piece.message_ids):
            some = piece.message_ids[start : start + room]
            packed.append(replace(piece, message_ids=some))
            start, room = start + len(some), room - len(some)
            if not room:
                jobs.append(DispatchJob(read_at, tuple(packed)))
                packed, room = [], size
    if packed:
        jobs.append(DispatchJob(read_at, tuple(packed)))
    return jobs
