"""What else was kept for long enough is removed, each kind after its own days."""

from contextlib import closing
from datetime import timedelta

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.broker.base import Broker
from shared.domain.errors import BrokerError
from shared.domain.retention import Retention
from shared.logs import logger
from shared.retention.kinds import DEAD_JOBS, DEAD_JOBS_DAYS, KINDS, SLICE, Kind, remove_old


class RemoveOld(Chore):
    """Every kind of `shared.retention.kinds`, and the dead jobs of the broker."""

    name = "remove_old"
    pause = 3600.0

    def __init__(self, broker: Broker, retention: Retention) -> None:
        super().__init__()
        metrics.begin(metrics.REMOVED, (*(kind.name for kind in KINDS), DEAD_JOBS))
        self._broker = broker
        self._retention = retention

    def work(self, step: Step) -> bool | None:
        if not self._retention.days:
            return False
        for kind in KINDS:
            if not self._remove(step, kind):
                return None
        _say(DEAD_JOBS, self._forget_dead(), DEAD_JOBS_DAYS)
        return False

    def _remove(self, step: Step, kind: Kind) -> bool:
        """All that is old, slice by slice; False where it was set aside."""
        removed, number = 0, SLICE
        while number == SLICE:
            done = step.acts.run(self.name, None, lambda connection, _: remove_old(connection, kind))
            if done is None:
                return False
            number = done
            removed += number
        _say(kind.name, removed, kind.days)
        return True

    def _forget_dead(self) -> int:
        """On a session of its own. A broker that is away has its turn the next time."""
        removed, number = 0, SLICE
        try:
            with closing(self._broker.connect()) as session:
                while number == SLICE:
                    number = session.forget_dead(timedelta(days=DEAD_JOBS_DAYS), SLICE)
                    removed += number
        except BrokerError as error:
            logger().warning("dead_jobs_not_looked_at", error=str(error))
        return removed


def _say(what: str, number: int, days: int) -> None:
    if number:
        metrics.REMOVED.labels(what).inc(number)
        logger().info("removed", what=what, number=number, after_days=days)
