"""The mailings as the API stores and shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from api_service.mailings import rules
from api_service.mailings.rules import Action
from api_service.mailings.schema import FROZEN_AT_LAUNCH, STORED
from api_service.web.figures import counts
from api_service.web.page import After, Listing, Part, cut
from api_service.web.problems import Frozen, Invalid, NotFound, TooLate
from api_service.web.reference import unique
from shared.database.models import Import, Mailing
from shared.domain.filter import Filter
from shared.domain.mailing import ENDED, MailingState, mailing_state, paused_because
from shared.domain.retention import IMPORTS_DAYS
from shared.ledger.figures import Figures, count_mailings, read_figures

_LISTED = select(Mailing).where(Mailing.deleted_at.is_(None))


def list_part(session: Session, part: Part, filters: Mapping[str, Any], owner: str = "") -> Listing[Mailing]:
    """In the order of ids, as of one moment. filters: values by member. owner: of a reference."""
    query, ids = _LISTED, select(Mailing.id).where(Mailing.deleted_at.is_(None))
    for name, value in filters.items():
        wanted = in_state(value) if name == "state" else getattr(Mailing, name) == value
        query, ids = query.where(wanted), ids.where(wanted)
    if "reference" in filters:
        query, ids = query.where(Mailing.reference_owner == owner), ids.where(Mailing.reference_owner == owner)
    if isinstance(part, After) or filters:
        return cut(session, query, Mailing.id, part)
    number = count_mailings(session.connection())
    if part.offset >= number:
        return Listing([], part, number)
    # Of those before the page nothing is read but the index.
    here = ids.order_by(Mailing.id).offset(part.offset).limit(part.size)
    rows = session.scalars(select(Mailing).where(Mailing.id.in_(here)).order_by(Mailing.id)).all()
    return Listing(rows, part, number)


def in_state(state: MailingState) -> ColumnElement[bool]:
    """The condition that `mailing_state` is this one. Every open state names the index of what is not finished."""
    now = func.now()
    is_open = and_(Mailing.cancelled_at.is_(None), Mailing.finished_at.is_(None), Mailing.ends_at > now)
    match state:
        case MailingState.CANCELLED:
            return Mailing.cancelled_at.is_not(None)
        case MailingState.FINISHED:
            is_over = or_(Mailing.finished_at.is_not(None), Mailing.ends_at <= now)
            return and_(Mailing.cancelled_at.is_(None), is_over)
        case MailingState.PAUSED:
            return and_(is_open, Mailing.paused_at.is_not(None))
        case MailingState.RUNNING:
            return and_(is_open, Mailing.paused_at.is_(None), Mailing.starts_at <= now)
        case MailingState.SCHEDULED:
            return and_(is_open, Mailing.paused_at.is_(None), Mailing.starts_at > now)


def find(session: Session, mailing_id: int, *, lock: bool = False) -> Mailing:
    """lock: neither the launch nor anybody else changes it until the end of the transaction. Raises NotFound."""
    query = _LISTED.where(Mailing.id == mailing_id)
    mailing = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if mailing is None:
        raise NotFound(f"There is no mailing {mailing_id}.")
    return mailing


def create(session: Session, values: Mapping[str, Any], owner: str, now: datetime) -> Mailing:
    """owner: of the reference. Raises Invalid, Taken."""
    _check_times(values["starts_at"], values["ends_at"], values, now)
    _hold_imports(session, values["filter"])
    mailing = Mailing(**values, reference_owner=owner)
    with unique("mailing", "reference"):
        session.add(mailing)
        session.flush()
    return mailing


def change(session: Session, mailing: Mailing, values: Mapping[str, Any], owner: str, now: datetime) -> set[str]:
    """Sets the fields of a locked mailing and returns those that really changed. Raises Frozen, Invalid, Taken."""
    changed = rules.changed(mailing, values)
    if not changed:
        return changed
    if frozen := rules.frozen(mailing, changed, FROZEN_AT_LAUNCH, now):
        state = mailing_state(mailing, now)
        why = "Is frozen: the mailing is" if state in ENDED else "Is frozen since the launch; the mailing is"
        advice = "create another one." if state in ENDED else "cancel it and create another one."
        raise Frozen(f"The mailing is {state}.", {name: [f"{why} {state}: {advice}"] for name in sorted(frozen)})
    times = {"starts_at": mailing.starts_at, "ends_at": mailing.ends_at, **values}
    _check_times(times["starts_at"], times["ends_at"], values, now)
    if "filter" in changed:
        _hold_imports(session, values["filter"])
    mailing.window_changed |= "send_window" in changed and rules.is_launched(mailing, now)
    if "reference" in changed:
        mailing.reference_owner = owner
    for name in changed:
        setattr(mailing, name, values[name])
    mailing.revision += 1
    with unique("mailing", "reference"):
        session.flush()
    return changed


def check_possible(mailing: Mailing, action: Action, now: datetime) -> None:
    """Raises TooLate."""
    state = mailing_state(mailing, now)
    if not rules.is_possible(action, state):
        raise TooLate(f"The mailing is {state}: it is too late to {action} it.")


def shown(mailing: Mailing, figures: Figures, now: datetime) -> dict[str, Any]:
    """As `MailingSchema` wants it."""
    return {
        **{name: getattr(mailing, name) for name in STORED},
        "state": mailing_state(mailing, now),
        "paused_because": paused_because(mailing, now),
        "statistics": counts(figures),
    }


def figures(session: Session, mailings: Sequence[Mailing]) -> dict[int, Figures]:
    """Of all of them in one query, by id."""
    return read_figures(session.connection(), [mailing.id for mailing in mailings])


def _check_times(starts_at: datetime, ends_at: datetime, given: Mapping[str, Any], now: datetime) -> None:
    if faults := rules.faults(starts_at, ends_at, given.keys(), now):
        raise Invalid(faults)


def _hold_imports(session: Session, wanted: Filter) -> None:
    """Those of a filter stay until the end of the transaction, and then because it names them. Raises Invalid."""
    if not wanted.imports:
        return
    held = select(Import.id).where(Import.id.in_(wanted.imports)).order_by(Import.id)
    there = session.scalars(held.with_for_update(read=True, key_share=True)).all()
    if gone := [one for one in wanted.imports if one not in there]:
        sentences = [f"There is no import {one}; they are kept for {IMPORTS_DAYS} days." for one in gone]
        raise Invalid({"filter": {"imports": sentences}})
