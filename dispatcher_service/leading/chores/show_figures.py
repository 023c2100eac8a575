"""The metrics say how many mailings and messages are open, and whether the ledger balances."""

from sqlalchemy import Connection, text

from shared import metrics
from shared.clock import ticks
from shared.domain.mailing import ENDED, MailingState, mailing_state
from shared.domain.message import OPEN_STATES
from shared.ledger.figures import read_figures

FIGURES_EVERY = 2.0


class ShowFigures:
    """Called in every step, it does something every FIGURES_EVERY seconds."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def __call__(self, connection: Connection) -> None:
        if ticks() < self._next_at:
            return
        self._next_at = ticks() + FIGURES_EVERY
        with connection.begin():
            now = connection.scalar(text("select now()"))
            mailings = connection.execute(_OPEN_MAILINGS).all()
            figures = read_figures(connection, [mailing.id for mailing in mailings])
        for state in set(MailingState) - ENDED:
            metrics.MAILINGS.labels(state).set(sum(mailing_state(mailing, now) == state for mailing in mailings))
        for open_state in OPEN_STATES:
            metrics.MESSAGES.labels(open_state).set(sum(figure.states[open_state] for figure in figures.values()))
        metrics.LEDGER_DIFFERENCE.set(sum(figure.audience - sum(figure.states.values()) for figure in figures.values()))


_OPEN_MAILINGS = text("""
    select id, starts_at, ends_at, paused_at, cancelled_at, finished_at from mailings where finished_at is null
""")
