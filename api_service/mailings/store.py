"""The mailings as the API stores and shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api_service.mailings import rules
from api_service.mailings.rules import Action
from api_service.web.figures import counts
from api_service.web.page import Page
from api_service.web.problems import Conflict, Invalid, NotFound
from shared.database.models import Mailing
from shared.domain.mailing import ENDED, mailing_state
from shared.ledger.entries import Entries
from shared.ledger.figures import Figures, count_mailings, read_figures

_LISTED = select(Mailing).where(Mailing.deleted_at.is_(None))


def moment(session: Session) -> datetime:
    """What the database's clock shows. What may be done with a mailing, and what is said of it, goes by that clock, as
    its sending does; asked for after the row was locked, since the wait for a lock takes time, too."""
    shown: datetime = session.scalars(select(func.clock_timestamp())).one()
    return shown


def listed(session: Session, page: Page) -> tuple[Sequence[Mailing], int]:
    """One page in the order of ids, and how many mailings there are. In a `parts.snapshot`."""
    number = count_mailings(session.connection())
    if page.offset >= number:
        return [], number
    # Of those before the page nothing is read but the index.
    ids = select(Mailing.id).where(Mailing.deleted_at.is_(None)).order_by(Mailing.id)
    rows = session.scalars(
        select(Mailing).where(Mailing.id.in_(ids.offset(page.offset).limit(page.size))).order_by(Mailing.id)
    ).all()
    return rows, number


def found(session: Session, mailing_id: int, *, lock: bool = False) -> Mailing:
    """lock: neither the launch nor anybody else changes it until the end of the transaction. Raises NotFound."""
    query = _LISTED.where(Mailing.id == mailing_id)
    mailing = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if mailing is None:
        raise NotFound(f"There is no mailing {mailing_id}.")
    return mailing


def created(session: Session, entries: Entries, values: Mapping[str, Any], now: datetime) -> Mailing:
    """Raises Invalid."""
    _check_times(values["starts_at"], values["ends_at"], values, now)
    mailing = Mailing(**rules.columns(values))
    session.add(mailing)
    session.flush()
    entries.shown(1)
    return mailing


def change(mailing: Mailing, values: Mapping[str, Any], now: datetime) -> set[str]:
    """Sets the fields of a locked mailing and returns those that really changed. Raises Conflict, Invalid."""
    changed = rules.changed(mailing, values)
    if not changed:
        return changed
    if frozen := rules.frozen(mailing, changed, now):
        state = mailing_state(mailing, now)
        raise Conflict(
            f"The mailing is {state}.", {name: [f"Cannot change: it is {state}."] for name in sorted(frozen)}
        )
    times = {"starts_at": mailing.starts_at, "ends_at": mailing.ends_at, **values}
    _check_times(times["starts_at"], times["ends_at"], values, now)
    mailing.window_changed |= "send_window" in changed and rules.is_launched(mailing, now)
    for name, value in rules.columns(values).items():
        setattr(mailing, name, value)
    return changed


def perform(entries: Entries, mailing: Mailing, action: Action, now: datetime) -> None:
    """Raises Conflict."""
    state = mailing_state(mailing, now)
    if not rules.is_possible(action, state):
        raise Conflict(f"The mailing is {state}: it is too late to {action} it.")
    if action is Action.RESUME and mailing.paused_at and mailing.audience_limit is not None:
        entries.look(mailing.id)  # nobody looked while it was paused
    rules.perform(action, mailing, now)


def delete(session: Session, entries: Entries, mailing: Mailing, now: datetime) -> None:
    """Hides a locked mailing for good, and cancels it if it is not over. The row stays: its figures belong to the
    reports."""
    if mailing_state(mailing, now) not in ENDED:
        mailing.cancelled_at = now
    mailing.deleted_at = now
    entries.shown(-1)
    if mailing.finished_at is not None:  # else it is taken out of the totals when it is finished
        entries.hidden(figures(session, [mailing])[mailing.id])


def shown(mailing: Mailing, figures: Figures, now: datetime) -> dict[str, Any]:
    """As `MailingSchema` wants it."""
    return {
        **rules.fields(mailing),
        "id": mailing.id,
        "created_at": mailing.created_at,
        "state": mailing_state(mailing, now),
        "statistics": counts(figures),
    }


def figures(session: Session, mailings: Sequence[Mailing]) -> dict[int, Figures]:
    """Of all of them in one query, by id."""
    return read_figures(session.connection(), [mailing.id for mailing in mailings])


def _check_times(starts_at: datetime, ends_at: datetime, given: Mapping[str, Any], now: datetime) -> None:
    if faults := rules.faults(starts_at, ends_at, given.keys(), now):
        raise Invalid(faults)
