"""Messages move away from a provider that errs or is slow, and come back in steps."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.shares import STEP, Did, next_shares
from shared import lanes, metrics
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.rates.paces import Noted, notes


class WeighProviders(Chore):
    """Writes down how much of each provider's weight counts, by what all dispatchers have seen of it; each of them
    reads it within a second. So they agree, and it outlives all of them."""

    name = "weigh_providers"
    pause = STEP

    def work(self, step: Step) -> bool | None:
        before = step.acts.run(self.name, None, _weigh)
        if before is None:
            return None
        for name, (was, share) in before.items():
            metrics.PROVIDER_SHARE.labels(name).set(share / 100)
            if share < was:
                logger().warning("provider_share_falls", provider=name, share=share, before=was)
        return False


def _weigh(connection: Connection, _entries: Entries) -> Mapping[str, tuple[int, int]]:
    known = lanes.read(connection)
    shares = {one.name: one.share for one in known.providers.values() if one.is_there}
    after = next_shares(shares, _did(notes(connection)))
    lanes.share_out(connection, {name: share for name, share in after.items() if share != shares[name]})
    return {name: (share, after[name]) for name, share in shares.items()}


def _did(noted: Sequence[Noted]) -> Mapping[str, Did]:
    sums: dict[str, Counter[str]] = {}
    for one in noted:
        for name, seen in one.seen.items():
            counts = {"calls": seen["calls"], "failed": seen["failed"], "milliseconds": round(1000 * seen["seconds"])}
            sums.setdefault(name, Counter()).update(counts)
    return {name: Did(each["calls"], each["failed"], each["milliseconds"] / 1000) for name, each in sums.items()}
