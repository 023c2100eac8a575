"""`python -m benchmarks.simulation`: what the rules of pace, share and limits do, in some seconds.

To be run before and after a constant of `fair_share`, `pace` or `allowance` is changed.
"""

from collections.abc import Iterator
from itertools import product
from random import Random
from time import perf_counter

from benchmarks.simulation import limits, overtaking, paces, shares
from benchmarks.simulation.provider import Provider

DISPATCHERS = (1, 2, 5, 10)
REST = 1.0


def main() -> None:
    since = perf_counter()
    for line in (*pace(), "", *share(), "", *limit()):
        print(line, flush=True)
    print(f"\n{perf_counter() - since:.0f} s")


def pace() -> Iterator[str]:
    yield "Pace: part of a provider's rate that is used from the 20th second on, and 429 for each message taken."
    yield f"{'':44}" + "".join(f"{number:>12}" for number in DISPATCHERS) + " dispatchers"
    for rate, by_window, retry_after in product((50, 500), (False, True), (0.0, 1.0)):
        name = f"{rate}/s, {'by the second' if by_window else 'by a bucket'}, Retry-After {retry_after:.0f}"
        cells = []
        for number in DISPATCHERS:
            random = Random(number)
            provider = Provider(rate, random, by_window=by_window, retry_after=retry_after)
            found = paces.run(provider, number, random, until=60.0)
            cells.append(f"{found.efficiency:5.2f} {found.refusals:5.1%}")
        yield f"{name:44}" + "".join(f"{cell:>12}" for cell in cells)
    name = f"50/s from the 5th second on, after {REST:.0f} s with nothing to send; from then on"
    for latency in (0.02, 0.15, 1.0):
        cells = []
        for number in DISPATCHERS:
            random = Random(number)
            provider = Provider(50, random, latency=latency, limited_from=5.0)
            found = paces.run(provider, number, random, since=5.0, until=45.0, rest=(5.0 - REST, 5.0))
            cells.append(f"{found.efficiency:5.2f} {found.refusals:5.1%}")
        yield f"{f'{name}, {latency:g} s':44}" + "".join(f"{cell:>12}" for cell in cells)
    for moody in (0.01, 0.02, 0.03):
        random = Random(1)
        found = paces.run(Provider(5_000, random, latency=0.25, moody=moody), 1, random, since=5.0, until=15.0)
        yield f"no limit, {moody:.0%} of 429 at random, one dispatcher: {found.efficiency * 5_000:.0f}/s of 1024"


def share() -> Iterator[str]:
    found = shares.try_many(Random(1))
    yield (
        f"Share: in {found.sets} random sets, of {found.wanted} mailings that nearest-end-first meets with a tenth and"
        f" {shares.SPARE:.0f} s to spare, {found.missed} are missed."
    )
    yield f"The longest time to a first message, where a tenth of the pace allows it within 5 s: {found.first:.1f} s."
    for rate in (20, 200, 2_000):
        yield f"20 urgent ones behind a huge mailing, {rate}/s: {shares.urgent_behind_a_huge_one(rate):.2f} s."


def limit() -> Iterator[str]:
    for rate, dispatchers in product((20, 2_000), (1, 10, 50)):
        last = max(overtaking.run(rate, dispatchers, Random(seed)) for seed in range(5))
        yield f"20 urgent ones behind a huge mailing at DISPATCH_RATE={rate}, {dispatchers} dispatchers: {last:.1f} s."
    yield "Limits: sent of what was allowed, the most within a second, asked per second, longest wait after a claim,"
    yield "and the time between two turns of a dispatcher, the 99th of a hundred, in units of the mean."
    for rate, dispatchers, stale in product((1, 20, 2_000), (1, 10, 50), (0.0, 0.5)):
        found = limits.run(rate, dispatchers, stale, Random(1))
        yield (
            f"{rate:5}/s, {dispatchers:2} dispatchers, {stale:3.0%} stale: {found.rate:6.3f} {found.most:6.2f}"
            f" {found.asked:6.1f} {found.waited:6.2f} s {found.passed:6.1f}"
        )


if __name__ == "__main__":
    main()
