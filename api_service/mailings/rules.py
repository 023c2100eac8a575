"""What may be done with a mailing, and when. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.mailing import ENDED, MailingState, mailing_state

if TYPE_CHECKING:
    from shared.database.models import Mailing


class Action(StrEnum):
    PAUSE = "pause"  # hold back what is not sent yet
    RESUME = "resume"  # go on
    START = "start"  # a draft is one no more
    CANCEL = "cancel"  # end for good


_LIVING = frozenset(MailingState) - ENDED
_STARTED = _LIVING - {MailingState.DRAFT}

_POSSIBLE: Mapping[Action, Set[MailingState]] = {
    Action.PAUSE: _STARTED,
    Action.RESUME: _STARTED,
    Action.START: _LIVING,
    Action.CANCEL: _LIVING | {MailingState.CANCELLED},
}


def is_possible(action: Action, state: MailingState) -> bool:
    """Whether the action makes sense; one that has been done already does, and changes nothing."""
    return state in _POSSIBLE[action]


def perform(action: Action, mailing: "Mailing", now: datetime) -> bool:
    """Carries out an action that is possible; whether there was anything to do."""
    before = mailing.paused_at, mailing.cancelled_at, mailing.draft
    match action:
        case Action.PAUSE:
            mailing.paused_at = mailing.paused_at or now
        case Action.RESUME:
            mailing.paused_at = None
        case Action.START if mailing.draft:
            mailing.draft, mailing.paused_at, mailing.closed_at = False, None, None
            mailing.revision += 1  # whoever has seen the draft has not seen this
        case Action.CANCEL if mailing.draft:
            mailing.cancelled_at = mailing.finished_at = (
                mailing.cancelled_at or now
            )  # there is nothing to bring to an end
        case Action.CANCEL:
            mailing.cancelled_at = mailing.cancelled_at or now
    return before != (mailing.paused_at, mailing.cancelled_at, mailing.draft)


def is_launched(mailing: "Mailing", now: datetime) -> bool:
    """Whether its audience is, or may at any moment be, taken from the directory."""
    return mailing.audience_limit is not None or (not mailing.draft and _has_passed(mailing.starts_at, now))


def _has_passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now >= moment


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
    if mailing.retry_of is not None:
        at_launch = at_launch if is_launched(mailing, now) else frozenset({"filter"})
        return names & (at_launch | {"filter"})
    return names & at_launch if is_launched(mailing, now) else frozenset()


@dataclass(frozen=True, slots=True)
class Times:
    """Of a mailing. A draft may leave one open, and say what has passed: it is checked when it is started."""

    starts_at: datetime | None
    ends_at: datetime | None
    draft: bool

    def missing(self) -> dict[str, list[str]]:
        """The sentences about what is left open and may not be, by field."""
        named = {"starts_at": self.starts_at, "ends_at": self.ends_at}
        return {} if self.draft else {name: [MISSING] for name, moment in named.items() if moment is None}

    def faults(self, given: Set[str], now: datetime) -> dict[str, list[str]]:
        """What is wrong with those of a mailing that is to be sent, by a field that the user has given."""
        if self.starts_at is None or self.ends_at is None:
            return self.missing()
        if self.ends_at <= self.starts_at:
            return {"ends_at": [AFTER_START]} if "ends_at" in given else {"starts_at": [BEFORE_END]}
        if self.ends_at <= now and not self.draft:
            return {"ends_at": [IN_FUTURE]}
        return {}


def blockers(mailing: "Mailing", now: datetime) -> dict[str, list[str]]:
    """What stands in the way of a start, by field."""
    times = Times(mailing.starts_at, mailing.ends_at, draft=False)
    return times.faults(frozenset({"ends_at"}), now)


MISSING = "Missing data for required field."
AFTER_START = "Must be later than starts_at."
BEFORE_END = "Must be earlier than ends_at."
IN_FUTURE = "Must lie in the future."
