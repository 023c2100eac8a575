"""What may be done with a mailing, and when. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.mailing import ENDED, MailingState, mailing_state
from shared.domain.window import Window

if TYPE_CHECKING:
    from shared.database.models import Mailing


@dataclass(frozen=True, slots=True)
class Filter:
    """Whom a mailing is for: clients that match both lists, an empty one matching everybody. Sorted, nothing twice."""

    operator_codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


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

FROZEN_AT_LAUNCH = frozenset({"text", "filter", "starts_at"})


def is_possible(action: Action, state: MailingState) -> bool:
    """Whether the action makes sense; one that has been done already does, and changes nothing."""
    return state in _POSSIBLE[action]


def perform(action: Action, mailing: "Mailing", now: datetime) -> None:
    """Carries out an action that is possible."""
    match action:
        case Action.PAUSE:
            mailing.paused_at = mailing.paused_at or now
        case Action.RESUME:
            mailing.paused_at = None
        case Action.CANCEL:
            mailing.cancelled_at = mailing.cancelled_at or now


def is_launched(mailing: "Mailing", now: datetime) -> bool:
    """Whether its audience is, or may at any moment be, taken from the directory."""
    return mailing.audience_limit is not None or now >= mailing.starts_at


def is_due(mailing: "Mailing", now: datetime) -> bool:
    """Whether its messages go out now."""
    return mailing_state(mailing, now) is MailingState.RUNNING


def fields(mailing: "Mailing") -> dict[str, Any]:
    """What a user sets, by the names that the API has for it."""
    window = None
    if mailing.window_from is not None and mailing.window_until is not None:
        window = Window(mailing.window_from, mailing.window_until)
    return {
        "text": mailing.text,
        "starts_at": mailing.starts_at,
        "ends_at": mailing.ends_at,
        "filter": Filter(tuple(mailing.operator_codes), tuple(mailing.tags)),
        "send_window": window,
    }


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same the other way round, for those fields that are given."""
    named = dict(values)
    if "filter" in named:
        chosen: Filter = named.pop("filter")
        named |= {"operator_codes": list(chosen.operator_codes), "tags": list(chosen.tags)}
    if "send_window" in named:
        window: Window | None = named.pop("send_window")
        named |= {"window_from": window and window.start, "window_until": window and window.end}
    return named


def changed(mailing: "Mailing", values: Mapping[str, Any]) -> set[str]:
    """The fields whose given value differs from the present one."""
    present = fields(mailing)
    return {name for name, value in values.items() if present[name] != value}


def frozen(mailing: "Mailing", names: Set[str], now: datetime) -> Set[str]:
    """Those of the fields that may not change any more."""
    if mailing_state(mailing, now) in ENDED:
        return names
    return names & FROZEN_AT_LAUNCH if is_launched(mailing, now) else frozenset()


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
