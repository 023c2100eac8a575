"""What may be done with a mailing, and when. Pure."""

from collections.abc import Mapping, Set
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.mailing import ENDED, MailingState, mailing_state

if TYPE_CHECKING:
    from shared.database.models import Mailing


class Action(StrEnum):
    PAUSE = "pause"  # hold back what is not sent yet
    RESUME = "resume"  # go on
    CANCEL = "cancel"  # end for good


_LIVING = frozenset(MailingState) - ENDED

_POSSIBLE: Mapping[Action, Set[MailingState]] = {
    Action.PAUSE: _LIVING,
    Action.RESUME: _LIVING,
    Action.CANCEL: _LIVING | {MailingState.CANCELLED},
}


def is_possible(action: Action, state: MailingState) -> bool:
    """Whether the action makes sense; one that has been done already does, and changes nothing."""
    return state in _POSSIBLE[action]


def perform(action: Action, mailing: "Mailing", now: datetime) -> bool:
    """Carries out an action that is possible; whether there was anything to do."""
    before = mailing.paused_at, mailing.cancelled_at
    match action:
        case Action.PAUSE:
            mailing.paused_at = mailing.paused_at or now
        case Action.RESUME:
            mailing.paused_at = None
        case Action.CANCEL:
            mailing.cancelled_at = mailing.cancelled_at or now
    return before != (mailing.paused_at, mailing.cancelled_at)


def is_launched(mailing: "Mailing", now: datetime) -> bool:
    """Whether its audience is, or may at any moment be, taken from the directory."""
    return mailing.audience_limit is not None or now >= mailing.starts_at


def is_due(mailing: "Mailing", now: datetime) -> bool:
    """Whether its messages go out now."""
    return mailing_state(mailing, now) is MailingState.RUNNING


def changed(mailing: "Mailing", values: Mapping[str, Any]) -> set[str]:
    """The fields whose given value differs from the present one."""
    return {name for name, value in values.items() if getattr(mailing, name) != value}


def frozen(mailing: "Mailing", names: Set[str], at_launch: Set[str], now: datetime) -> Set[str]:
    """Those of the fields that may not change any more. at_launch: those that may not from then on."""
    if mailing_state(mailing, now) in ENDED:
        return names
    return names & at_launch if is_launched(mailing, now) else frozenset()


def faults(starts_at: datetime, ends_at: datetime, given: Set[str], now: datetime) -> dict[str, list[str]]:
    """What is wrong with the times of a mailing that is to be sent, by a field that the user has given."""
    if ends_at <= starts_at:
        return {"ends_at": [AFTER_START]} if "ends_at" in given else {"starts_at": [BEFORE_END]}
    if ends_at <= now:
        return {"ends_at": [IN_FUTURE]}
    return {}


AFTER_START = "Must be later than starts_at."
BEFORE_END = "Must be earlier than ends_at."
IN_FUTURE = "Must lie in the future."
