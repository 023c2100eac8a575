"""The mailings as the API stores and shows them."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, any_, func, or_, select
from sqlalchemy.orm import Session

from api_service.mailings import outlook_store, rules
from api_service.mailings.outlook import Outlook
from api_service.mailings.rules import Action, Times
from api_service.mailings.schema import FROZEN_AT_LAUNCH, STORED
from api_service.web.figures import counts
from api_service.web.page import After, Listing, Part, cut
from api_service.web.problems import Frozen, Gone, Invalid, IsDraft, NotFound, TooLate
from api_service.web.reference import unique
from api_service.web.work import is_of_tests
from shared import lanes
from shared.audience import named
from shared.database.models import Mailing
from shared.domain.filter import Filter
from shared.domain.mailing import ENDED, MailingState, PausedBecause, mailing_state, paused_because
from shared.domain.message import MessageState
from shared.domain.segments import Audience, Segment
from shared.domain.text.shown import label
from shared.ledger.figures import Figures, count_mailings, read_figures, read_test_totals, read_totals


def there(session: Session) -> tuple[ColumnElement[bool], ...]:
    """The conditions on mailings that there are for whoever asks: those that are really sent or, with a test key,
    tests. A trial is shown with the mailing that it tries out."""
    is_test: ColumnElement[bool] = and_(Mailing.test) if is_of_tests(session) else ~Mailing.test
    return Mailing.deleted_at.is_(None), is_test, Mailing.trial_of.is_(None)


def list_part(
    session: Session, part: Part, filters: Mapping[str, Any], owner: str = "", *, newest_first: bool = False
) -> Listing[Mailing]:
    """In the order of ids, as of one moment. filters: values by member. owner: of a reference."""
    conditions = there(session)
    if filters:  # else an index of all that there are looks to the planner as good as that of what is asked for
        conditions = (*conditions[:2], func.coalesce(Mailing.trial_of, 0) == 0)
    query, ids = select(Mailing).where(*conditions), select(Mailing.id).where(*conditions)
    for name, value in filters.items():
        wanted = _CONDITIONS[name](value) if name in _CONDITIONS else getattr(Mailing, name) == value
        query, ids = query.where(wanted), ids.where(wanted)
    if "reference" in filters:
        query, ids = query.where(Mailing.reference_owner == owner), ids.where(Mailing.reference_owner == owner)
    if isinstance(part, After) or filters or newest_first or is_of_tests(session):
        return cut(session, query, Mailing.id, part, descending=newest_first)
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
    is_unfinished = and_(Mailing.cancelled_at.is_(None), Mailing.finished_at.is_(None))
    is_open = and_(is_unfinished, ~Mailing.draft, Mailing.ends_at > now)
    match state:
        case MailingState.DRAFT:
            return and_(is_unfinished, Mailing.launched_at.is_(None), Mailing.draft)
        case MailingState.CANCELLED:
            return Mailing.cancelled_at.is_not(None)
        case MailingState.FINISHED:
            is_over = or_(Mailing.finished_at.is_not(None), and_(~Mailing.draft, Mailing.ends_at <= now))
            return and_(Mailing.cancelled_at.is_(None), is_over)
        case MailingState.PAUSED:
            return and_(is_open, Mailing.paused_at.is_not(None))
        case MailingState.RUNNING:
            return and_(is_open, Mailing.paused_at.is_(None), Mailing.starts_at <= now)
        case MailingState.SCHEDULED:
            return and_(is_open, Mailing.paused_at.is_(None), Mailing.starts_at > now)


def is_paused_by(because: PausedBecause) -> ColumnElement[bool]:
    """The condition that `paused_because` is this one."""
    is_halted = and_(Mailing.halted_at.is_not(None), Mailing.paused_at == Mailing.halted_at)
    return and_(in_state(MailingState.PAUSED), is_halted if because is PausedBecause.HALTED else ~is_halted)


def is_called(beginning: str) -> ColumnElement[bool]:
    """The condition that a name begins so. Those are looked up first, whatever the statistics say: else all mailings
    would be walked through for the few that bear it."""
    pattern = re.sub(r"([\\%_])", r"\\\1", label(beginning).casefold()) + "%"
    named = select(Mailing.id).where(Mailing.name_key.like(pattern))
    return Mailing.id == any_(func.array(named.scalar_subquery()))


_OF_RETRY = "Is frozen: a retry goes to those of its mailing that ended so, whatever the filter says."

_CONDITIONS: Mapping[str, Callable[[Any], ColumnElement[bool]]] = {
    "state": in_state,
    "name": is_called,
    "paused_because": is_paused_by,
}
"""Of filters that are no columns."""


def find(session: Session, mailing_id: int, *, lock: bool = False) -> Mailing:
    """lock: neither the launch nor anybody else changes it until the end of the transaction. Raises NotFound."""
    query = select(Mailing).where(Mailing.id == mailing_id, *there(session))
    mailing = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if mailing is None:
        raise NotFound(f"There is no mailing {mailing_id}.")
    return mailing


def create(session: Session, values: Mapping[str, Any], owner: str, now: datetime) -> Mailing:
    """owner: of the reference. Raises Invalid, Taken.

    A draft is set aside, as what is paused and closed: the leader has no index that would lead it there, nor has one of
    an older version.
    """
    times = Times(values["starts_at"], values["ends_at"], values["draft"])
    _check(times.faults(values.keys(), now))
    _check_provider(session, values.get("provider"))
    aside = {"paused_at": now, "closed_at": now} if times.draft else {}
    wanted = values["filter"]
    segments = _look_up(session, wanted)
    named_ = _names(wanted, segments)
    mailing = Mailing(**values, **aside, **named_, reference_owner=owner, test=is_of_tests(session))
    with unique("mailing", "reference"):
        session.add(mailing)
        session.flush()
    return mailing


def create_retry(session: Session, source: Mailing, values: Mapping[str, Any], now: datetime) -> Mailing:
    """values: all that users can set, and whom it is for. The messages of its family stay until its launch.

    Its filter is that of its source and says what it was made of; nobody is chosen by it. Raises Gone, Invalid.
    """
    _check(Times(values["starts_at"], values["ends_at"], draft=False).faults(values.keys(), now))
    root = source.retry_root or source.id
    family = or_(Mailing.id == root, Mailing.retry_root == root)
    kept = session.execute(
        select(Mailing.id, Mailing.messages_removed_at).where(family).order_by(Mailing.id).with_for_update(read=True)
    ).all()
    asked = [
        one for one in kept if one.id == source.id or one.id != root
    ]  # of the root only where it is retried itself
    if gone := [one.id for one in asked if one.messages_removed_at is not None]:
        raise Gone(f"The messages of mailing {gone[0]} are not kept any more: nobody can say who is left.")
    counts_ = figures(session, [source])[source.id].states
    if not any(counts_[MessageState(state)] for state in values["retry_states"]):
        raise Invalid({"states": [f"No message of mailing {source.id} has ended so."]})
    made_of = {"fixed_segments": source.fixed_segments, "retry_of": source.id, "retry_root": root, "test": source.test}
    mailing = Mailing(**values, **made_of)
    session.add(mailing)
    session.flush()
    return mailing


def change(session: Session, mailing: Mailing, values: Mapping[str, Any], owner: str, now: datetime) -> set[str]:
    """Sets the fields of a locked mailing and returns those that really changed. Raises Frozen, Invalid, Taken."""
    times = Times(values.get("starts_at", mailing.starts_at), values.get("ends_at", mailing.ends_at), mailing.draft)
    _check(times.missing())
    changed = rules.changed(mailing, values)
    segments = _read_again(session, mailing, values, now)
    if segments is not None and segments != mailing.fixed_segments:
        changed |= {"filter", "fixed_segments"}
    if not changed:
        return changed
    if frozen := rules.frozen(mailing, changed & values.keys(), FROZEN_AT_LAUNCH, now):
        state = mailing_state(mailing, now)
        if mailing.retry_of is not None and state not in ENDED and "filter" in frozen:
            raise Frozen(f"The mailing is a retry of mailing {mailing.retry_of}.", {"filter": [_OF_RETRY]})
        why = "Is frozen: the mailing is" if state in ENDED else "Is frozen since the launch; the mailing is"
        advice = "create another one." if state in ENDED else "cancel it and create another one."
        raise Frozen(f"The mailing is {state}.", {name: [f"{why} {state}: {advice}"] for name in sorted(frozen)})
    _check(times.faults(values.keys(), now))
    if "provider" in changed:
        _check_provider(session, values["provider"])
    if "filter" in changed:
        wanted = values["filter"]
        for name, value in _names(wanted, _look_up(session, wanted)).items():
            setattr(mailing, name, value)
    mailing.window_changed |= "send_window" in changed and rules.is_launched(mailing, now)
    if "reference" in changed:
        mailing.reference_owner = owner
    for name in changed & values.keys():
        setattr(mailing, name, values[name])
    mailing.revision += 1
    with unique("mailing", "reference"):
        session.flush()
    return changed


def check_possible(mailing: Mailing, action: Action, now: datetime) -> None:
    """Raises TooLate, IsDraft."""
    state = mailing_state(mailing, now)
    if rules.is_possible(action, state):
        return
    if state is MailingState.DRAFT:
        raise IsDraft(f"The mailing is a draft: start it before you {action} it.")
    raise TooLate(f"The mailing is {state}: it is too late to {action} it.")


def shown(mailing: Mailing, figures: Figures, now: datetime, ahead: Outlook) -> dict[str, Any]:
    """As `MailingSchema` wants it."""
    return {
        **{name: getattr(mailing, name) for name in STORED},
        "state": mailing_state(mailing, now),
        "paused_because": paused_because(mailing, now),
        "statistics": counts(figures),
        **_told(ahead),
    }


def ahead_of(session: Session, mailing: Mailing, figures: Figures, now: datetime) -> dict[str, Any]:
    """What the messages of one wait for, and when they are done: those members of `MailingSchema` alone."""
    return _told(outlook_store.read(session, [mailing], {mailing.id: figures}, now)[mailing.id])


def _told(ahead: Outlook) -> dict[str, Any]:
    return {
        "waiting_because": [
            {"cause": cause, "count": messages, "until": until} for cause, messages, until in ahead.causes
        ],
        "finishes_at": ahead.finishes_at,
        "finishes_in_time": ahead.in_time,
    }


def totals(session: Session) -> Figures:
    """Over all that there are for whoever asks."""
    return (read_test_totals if is_of_tests(session) else read_totals)(session.connection())


def figures(session: Session, mailings: Sequence[Mailing]) -> dict[int, Figures]:
    """Of all of them in one query, by id."""
    return read_figures(session.connection(), [mailing.id for mailing in mailings])


def _check(faults: Mapping[str, Any]) -> None:
    """Raises Invalid."""
    if faults:
        raise Invalid(faults)


def _check_provider(session: Session, name: str | None) -> None:
    if name is not None and not lanes.is_known(session.connection(), name):
        raise Invalid({"provider": ["No provider has this name: GET /providers/ lists them."]})


def _read_again(
    session: Session, mailing: Mailing, values: Mapping[str, Any], now: datetime
) -> tuple[Segment, ...] | None:
    """The segments of a filter that is given, which is saved with them as they are now. None: it is not, or cannot be
    saved any more."""
    if (
        "filter" not in values
        or mailing.retry_of is not None
        or rules.frozen(mailing, {"filter"}, FROZEN_AT_LAUNCH, now)
    ):
        return None
    return named.read_segments(session.connection(), values["filter"].named_segments)


def _look_up(session: Session, wanted: Filter) -> tuple[Segment, ...]:
    """The segments of a filter, as they are now; they and what else it names stay until the end of the transaction, and
    then because it names them. Raises Invalid."""
    try:
        return named.look_up(session.connection(), wanted, is_test=is_of_tests(session))
    except named.Unknown as error:
        raise Invalid({"filter": error.faults}) from error


def _names(wanted: Filter, segments: tuple[Segment, ...]) -> dict[str, Any]:
    """Columns that say what a mailing with this filter is made of."""
    audience = Audience.of(wanted, segments)
    return {
        "fixed_segments": segments,
        "named_segments": sorted(set(wanted.named_segments)),
        "named_imports": sorted(audience.imports),
        "named_mailings": sorted(audience.mailings),
    }
