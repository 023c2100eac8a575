"""The metrics say how many mailings and messages are open, of those that are really sent."""

from collections import Counter

from sqlalchemy import Connection, Row, text

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.clock import ticks
from shared.domain.apart import IS_APART
from shared.domain.mailing import ENDED, MailingState
from shared.domain.message import OPEN_STATES
from shared.ledger.entries import Entries
from shared.ledger.figures import read_ledger_totals, read_live_totals
from shared.logs import logger

FIGURES_EVERY = 2.0
PART = 2_000


class ShowFigures(Chore):
    """Counts the mailings by state every FIGURES_EVERY seconds. A mailing's state is stored nowhere, so each of them is
    counted: PART of them at a time, and the metrics follow when all have been."""

    name = "show_figures"
    pause = 0.25

    def __init__(self) -> None:
        super().__init__()
        self._next_round_at = 0.0
        self._last = 0
        self._counted: Counter[str] = Counter()
        self._difference = 0

    def work(self, step: Step) -> bool | None:
        if ticks() < self._next_round_at:
            return False
        part = step.acts.run(self.name, None, self._read)
        if part is None:
            return None
        self._counted.update({state: getattr(part, state) for state in _SHOWN})
        self._last = part.last if part.number == PART else 0
        if not self._last:
            for state in _SHOWN:
                metrics.MAILINGS.labels(state).set(self._counted[state])
            self._counted.clear()
            self._next_round_at = ticks() + FIGURES_EVERY
        return False

    def _read(self, connection: Connection, _entries: Entries) -> Row[tuple[object, ...]]:
        if not self._last:
            live, totals = read_live_totals(connection), read_ledger_totals(connection)
            for state in OPEN_STATES:
                metrics.MESSAGES.labels(state).set(live.states[state])
            self._tell(totals.audience - sum(totals.states.values()))
        return connection.execute(_COUNT, {"after": self._last, "limit": PART}).one()

    def _tell(self, difference: int) -> None:
        """Of the totals, which sum up what is checked mailing by mailing."""
        metrics.TOTALS_DIFFERENCE.set(difference)
        if difference and difference != self._difference:
            logger().error("totals_differ", audience_has_more=difference)
        self._difference = difference


_SHOWN = tuple(set(MailingState) - ENDED - {MailingState.DRAFT})
"""Those that the leader has to do with."""

# As `shared.domain.mailing.mailing_state` has it.
_COUNT = text(f"""
    select count(*) as number, max(id) as last,
           count(*) filter (where not ended and paused_at is not null) as paused,
           count(*) filter (where not ended and paused_at is null and starts_at <= now()) as running,
           count(*) filter (where not ended and paused_at is null and starts_at > now()) as scheduled
    from (
        select id, starts_at, paused_at, cancelled_at is not null or ends_at <= now() as ended
        from mailings where finished_at is null and not draft and id > :after and not {IS_APART}
        order by id limit :limit
    ) part
""")
