"""The mailings as the API stores and shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api_service import mailing_rules
from api_service.errors import Conflict, Invalid, NotFound
from api_service.mailing_rules import Action
from api_service.page import Page
from shared.database.models import Mailing, Message
from shared.domain.mailing import ENDED, mailing_state
from shared.domain.message import MessageState
from shared.ledger.figures import Figures, read_figures

_LISTED = select(Mailing).where(Mailing.deleted_at.is_(None))


def listed(session: Session, page: Page) -> tuple[Sequence[Mailing], int]:
    """One page in the order of ids, and how many mailings there are."""
    rows = session.scalars(_LISTED.order_by(Mailing.id).offset(page.offset).limit(page.size)).all()
    return rows, session.scalar(select(func.count()).select_from(_LISTED.subquery())) or 0


def found(session: Session, mailing_id: int, *, lock: bool = False) -> Mailing:
    """lock: neither the launch nor anybody else changes it until the end of the transaction. Raises NotFound."""
    query = _LISTED.where(Mailing.id == mailing_id)
    mailing = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if mailing is None:
        raise NotFound(f"There is no mailing {mailing_id}.")
    return mailing


def created(session: Session, values: Mapping[str, Any], now: datetime) -> Mailing:
    """Raises Invalid."""
    _check_times(values["starts_at"], values["ends_at"], values, now)
    mailing = Mailing(**mailing_rules.columns(values))
    session.add(mailing)
    session.flush()
    return mailing


def change(mailing: Mailing, values: Mapping[str, Any], now: datetime) -> set[str]:
    """Sets the fields of a locked mailing and returns those that really changed. Raises Conflict, Invalid."""
    changed = mailing_rules.changed(mailing, values)
    if not changed:
        return changed
    if frozen := mailing_rules.frozen(mailing, changed, now):
        state = mailing_state(mailing, now)
        raise Conflict(
            f"The mailing is {state}.", {name: [f"Cannot change: it is {state}."] for name in sorted(frozen)}
        )
    times = {"starts_at": mailing.starts_at, "ends_at": mailing.ends_at, **values}
    _check_times(times["starts_at"], times["ends_at"], values, now)
    mailing.window_changed |= "send_window" in changed and mailing_rules.is_launched(mailing, now)
    for name, value in mailing_rules.columns(values).items():
        setattr(mailing, name, value)
    return changed


def perform(mailing: Mailing, action: Action, now: datetime) -> None:
    """Raises Conflict."""
    state = mailing_state(mailing, now)
    if not mailing_rules.is_possible(action, state):
        raise Conflict(f"The mailing is {state}: it is too late to {action} it.")
    mailing_rules.perform(action, mailing, now)


def delete(mailing: Mailing, now: datetime) -> None:
    """Hides it for good, and cancels it if it is not over. The row stays: its figures belong to the reports."""
    if mailing_state(mailing, now) not in ENDED:
        mailing.cancelled_at = now
    mailing.deleted_at = now


def shown(mailing: Mailing, figures: Figures, now: datetime) -> dict[str, Any]:
    """As `schemas.MailingSchema` wants it."""
    return {
        **mailing_rules.fields(mailing),
        "id": mailing.id,
        "created_at": mailing.created_at,
        "state": mailing_state(mailing, now),
        "statistics": counts(figures),
    }


def counts(figures: Figures) -> dict[str, int]:
    """As `schemas.FiguresSchema` wants them."""
    return {"audience": figures.audience} | {str(state): count for state, count in figures.states.items()}


def figures(session: Session, mailings: Sequence[Mailing]) -> dict[int, Figures]:
    """Of all of them in one query, by id."""
    return read_figures(session.connection(), [mailing.id for mailing in mailings])


def messages(session: Session, mailing_id: int, status: MessageState | None, page: Page) -> Sequence[Message]:
    """One page of a mailing's messages in the order of their clients, all or those in one state."""
    query = select(Message).where(Message.mailing_id == mailing_id).order_by(Message.client_id)
    if status is not None:
        query = query.where(Message.status == status)
    return session.scalars(query.offset(page.offset).limit(page.size)).all()


def _check_times(starts_at: datetime, ends_at: datetime, given: Mapping[str, Any], now: datetime) -> None:
    if faults := mailing_rules.faults(starts_at, ends_at, given.keys(), now):
        raise Invalid(faults)
