"""What the messages of a mailing wait for, and when all of it will be done. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.domain.mailing import MailingState, mailing_state
from shared.domain.message import OPEN_STATES, MessageState
from shared.domain.waiting import Waiting

if TYPE_CHECKING:
    from shared.database.models import Mailing

DAY = timedelta(days=1)

MOST_OF_PACE = 0.5
"""A mailing that has less than so large a part of what all dispatchers send stands behind others."""


FIRST = timedelta(seconds=5)
"""Since the launch. By then a mailing has a pace, or others have it."""


class Opening(NamedTuple):
    """So many messages wait until the send window opens at a moment."""

    at: datetime
    messages: int


@dataclass(frozen=True, slots=True)
class Dispatchers:
    """Those that are alive. number: how many. pace: messages a second, all together. is_down, is_limited: what they
    say of the provider. is_rated: `DISPATCH_RATE` holds them up at this moment."""

    number: int = 0
    pace: float = 0.0
    is_down: bool = False
    is_limited: bool = False
    is_rated: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one mailing. pace: messages a second that come to an end now; 0: none did lately. latest_pace: when any did
    last. openings: the nearest first. last_retry: when the last of the retries is due. held_until: it is held back
    alone. to_create: messages that the launch is still to create, as far as can be told."""

    pace: float = 0.0
    latest_pace: float = 0.0
    openings: Sequence[Opening] = ()
    last_retry: datetime | None = None
    held_until: datetime | None = None
    to_create: float = 0.0


class Cause(NamedTuple):
    """messages: None: it is not known yet. until: None: that depends on something else than the time."""

    cause: Waiting
    messages: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """finishes_at: None: nobody can say. in_time: whether that is before the end."""

    causes: Sequence[Cause] = ()
    finishes_at: datetime | None = None
    in_time: bool | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a mailing at one moment. states: its messages."""

    mailing: "Mailing"
    states: Mapping[MessageState, int]
    now: datetime
    dispatchers: Dispatchers = field(default_factory=Dispatchers)
    progress: Progress = field(default_factory=Progress)

    @property
    def openings(self) -> Sequence[Opening]:
        """Those that lie ahead, of no more messages than wait. Who was skipped or cancelled before an opening is still
        counted in it."""
        left, found = self.states[MessageState.PENDING], []
        for opening in self.progress.openings:
            if opening.at > self.now and (messages := min(opening.messages, left)) > 0:
                found.append(Opening(opening.at, messages))
                left -= messages
        return found

    @property
    def due(self) -> int:
        """Messages that wait for nothing but their turn."""
        return self.states[MessageState.PENDING] - sum(opening.messages for opening in self.openings)


def outlook(facts: Facts) -> Outlook:
    """Of one that is over there is none."""
    mailing = facts.mailing
    match mailing_state(mailing, facts.now):
        case MailingState.DRAFT:
            return Outlook([Cause(Waiting.DRAFT)])
        case MailingState.SCHEDULED:
            return Outlook([Cause(Waiting.START, until=mailing.starts_at)])
        case MailingState.PAUSED:
            waiting = facts.states[MessageState.PENDING] + facts.states[MessageState.RETRYING]
            return Outlook([Cause(Waiting.PAUSED, waiting)])
        case MailingState.RUNNING:
            done = _done_at(facts)
            return Outlook(list(_causes(facts)), done, None if done is None else done < (mailing.ends_at or done))
    return Outlook()


def _causes(facts: Facts) -> Iterator[Cause]:
    if facts.mailing.launched_at is None:
        yield Cause(Waiting.LAUNCH)
    for at, messages in facts.openings:
        yield Cause(Waiting.WINDOW, messages, at)
    if retrying := facts.states[MessageState.RETRYING]:
        yield Cause(Waiting.RETRY, retrying, facts.progress.last_retry)
    if facts.due > 0:
        cause, until = _of_due(facts)
        yield Cause(cause, facts.due, until)


def _of_due(facts: Facts) -> tuple[Waiting, datetime | None]:
    """What decides most how fast those go out that are due."""
    dispatchers, progress = facts.dispatchers, facts.progress
    if progress.held_until is not None and progress.held_until > facts.now:
        return Waiting.HELD, progress.held_until
    found = [
        (dispatchers.number == 0, Waiting.NO_DISPATCHER),
        (dispatchers.is_down, Waiting.PROVIDER_DOWN),
        (_is_behind(facts), Waiting.OTHERS),
        (dispatchers.is_rated, Waiting.RATE),
        (dispatchers.is_limited, Waiting.PROVIDER_LIMITED),
    ]
    return next((cause for is_so, cause in found if is_so), Waiting.PACE), None


def _is_behind(facts: Facts) -> bool:
    """Whether others have most of what is sent. Of one that has hardly begun nobody can say it."""
    began = facts.mailing.launched_at
    is_known = facts.progress.latest_pace > 0 or (began is not None and facts.now - began > FIRST)
    return is_known and facts.progress.pace < MOST_OF_PACE * facts.dispatchers.pace


def _done_at(facts: Facts) -> datetime | None:
    """When the last message will have come to an end, if the pace stays as it is. What waits for an hour is sent from
    that hour on; where that is more than the window lets out in a day, the nights are counted in."""
    open_ = sum(facts.states[state] for state in OPEN_STATES) + facts.progress.to_create
    progress = facts.progress
    retrying = 0 if progress.last_retry is None else facts.states[MessageState.RETRYING]
    now_open = open_ - sum(opening.messages for opening in facts.openings) - retrying
    is_moving = progress.pace > 0 and facts.dispatchers.number > 0 and not facts.dispatchers.is_down
    pace = progress.pace if is_moving else progress.latest_pace if now_open <= 0 else 0.0
    if pace <= 0:
        return facts.now if open_ <= 0 else None
    done = facts.now + _seconds(now_open / pace)
    for at, messages in facts.openings:
        done = max(done, at) + _seconds(messages / pace)
    done += _nights(facts.mailing, _seconds(open_ / pace)) + _seconds(retrying / pace)
    return done if progress.last_retry is None or not retrying else max(done, progress.last_retry)


def _nights(mailing: "Mailing", work: timedelta) -> timedelta:
    """How long the window is closed within so much work."""
    window = mailing.send_window
    if window is None:
        return timedelta()
    minutes = (window.end.hour - window.start.hour) * 60 + window.end.minute - window.start.minute
    is_open = timedelta(minutes=minutes % (24 * 60))
    return (work // is_open) * (DAY - is_open)


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=min(number, _FAR))


_FAR = 100 * 365 * 86400.0
