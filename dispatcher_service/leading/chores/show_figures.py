"""The metrics say how many mailings and messages are open."""

from collections import Counter

from sqlalchemy import Connection, text

from shared import metrics
from shared.clock import ticks
from shared.domain.mailing import ENDED, MailingState
from shared.ledger.figures import read_open_messages

FIGURES_EVERY = 2.0
PART_EVERY = 0.25
PART = 2_000


class ShowFigures:
    """Called in every step, it does something every FIGURES_EVERY seconds.

    A mailing's state is stored nowhere, so mailings have to be counted: PART of them at a time, the next ones in the
    next step but PART_EVERY, and the metrics follow when all have been.
    """

    def __init__(self) -> None:
        self._next_at = 0.0
        self._last = 0
        self._counted: Counter[str] = Counter()

    def __call__(self, connection: Connection) -> None:
        if ticks() < self._next_at:
            return
        with connection.begin():
            if not self._last:
                for open_state, number in read_open_messages(connection).items():
                    metrics.MESSAGES.labels(open_state).set(number)
            row = connection.execute(_COUNT, {"after": self._last, "limit": PART}).one()
        self._counted.update({state: getattr(row, state) for state in _SHOWN})
        if row.number == PART:
            self._last, self._next_at = row.last, ticks() + PART_EVERY
            return
        for state in _SHOWN:
            metrics.MAILINGS.labels(state).set(self._counted[state])
        self._last, self._next_at, self._counted = 0, ticks() + FIGURES_EVERY, Counter()


_SHOWN = tuple(set(MailingState) - ENDED)

# As `shared.domain.mailing.mailing_state` has it; a test compares the two.
_COUNT = text("""
    select count(*) as number, max(id) as last,
           count(*) filter (where not ended and paused_at is not null) as paused,
           count(*) filter (where not ended and paused_at is null and starts_at <= now()) as running,
           count(*) filter (where not ended and paused_at is null and starts_at > now()) as scheduled
    from (
        select id, starts_at, paused_at, cancelled_at is not null or ends_at <= now() as ended
        from mailings where finished_at is null and id > :after order by id limit :limit
    ) part
""")
