"""The metrics say how many mailings and messages are open, and whether the ledger balances."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.domain.mailing import ENDED, MailingState, mailing_state
from shared.domain.message import OPEN_STATES
from shared.ledger.entries import Entries
from shared.ledger.figures import read_figures


class ShowFigures(Chore):
    """Reads the figures of all mailings that are not finished."""

    name = "show_figures"
    pause = 2.0

    def work(self, step: Step) -> bool | None:
        return False if step.acts.run(self.name, None, _show) else None


def _show(connection: Connection, _entries: Entries) -> bool:
    now = connection.scalar(text("select now()"))
    mailings = connection.execute(_OPEN_MAILINGS).all()
    figures = read_figures(connection, [mailing.id for mailing in mailings])
    for state in set(MailingState) - ENDED:
        metrics.MAILINGS.labels(state).set(sum(mailing_state(mailing, now) == state for mailing in mailings))
    for open_state in OPEN_STATES:
        metrics.MESSAGES.labels(open_state).set(sum(figure.states[open_state] for figure in figures.values()))
    metrics.LEDGER_DIFFERENCE.set(sum(figure.audience - sum(figure.states.values()) for figure in figures.values()))
    return True


_OPEN_MAILINGS = text("""
    select id, starts_at, ends_at, paused_at, cancelled_at, finished_at from mailings where finished_at is null
""")
