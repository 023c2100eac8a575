"""How large the benchmark is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Messages, unless it says otherwise. few, many: what is compared for growth, and for the statistics."""

    repetitions: int
    throughput: int
    slow: int
    running: int  # of the mailing beside which an urgent one is sent
    launch: int
    grow_few: int
    grow_many: int
    read_few: int
    read_many: int
    clients: int  # in the directory that is paged through
    searched: int  # in the directory in which one is looked for
    posts: int  # clients created over HTTP
    waiting: tuple[tuple[int, int], ...]  # mailings that wait, and the slots in which each is counted
    kept: int  # messages of years
    kept_mailings: int
    held: float  # seconds for which somebody reads a part that is dropped
    beside: int  # of the mailing that goes on beside one that ends later
    crowd: int  # mailings that start at once
    limited: int  # to a provider that takes few a second
    troubled: int  # to one that errs, and goes down
    outage: float  # seconds for which it does


WAITING = ((10_000, 16), (100_000, 4))

SMALL = Scale(5, 50_000, 40_000, 200_000, 200_000, 10_000, 100_000, 10_000, 1_000_000, 100_000, 1_000_000, 3_000,
              WAITING, 1_000_000, 200, 5.0, 25_000, 1_000, 2_000, 30_000, 20.0)  # fmt: skip
FULL = Scale(5, 100_000, 60_000, 500_000, 1_000_000, 10_000, 1_000_000, 10_000, 10_000_000, 1_000_000, 10_000_000,
             10_000, WAITING, 100_000_000, 2_000, 30.0, 25_000, 1_000, 3_300, 1_000_000, 600.0)  # fmt: skip
TINY = Scale(1, 2_000, 12_000, 10_000, 20_000, 1_000, 5_000, 1_000, 20_000, 5_000, 20_000, 300, ((1_000, 16),),
             20_000, 20, 1.0, 20_000, 50, 1_500, 4_000, 5.0)  # fmt: skip
"""Shows that everything works, not how fast."""
