"""The state of a mailing, computed from its facts; it is stored nowhere. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol


class MailingState(StrEnum):
    DRAFT = "draft"  # nothing happens until somebody starts it
    SCHEDULED = "scheduled"  # its start lies ahead
    RUNNING = "running"  # its messages go out
    PAUSED = "paused"  # held by the user; time goes on
    FINISHED = "finished"  # every message has its final state, or the end has passed
    CANCELLED = "cancelled"  # ended by the user


class PausedBecause(StrEnum):
    """Who paused a mailing."""

    PERSON = "person"  # somebody who uses the API
    HALTED = "halted"  # the service: the provider refused all of its messages


class Mailing(Protocol):
    """The facts that decide."""

    starts_at: datetime | None  # None: a draft does not say it yet; the same of its end
    ends_at: datetime | None
    draft: bool
    paused_at: datetime | None
    cancelled_at: datetime | None
    finished_at: datetime | None
    halted_at: datetime | None


def mailing_state(mailing: Mailing, now: datetime) -> MailingState:
    if mailing.cancelled_at:
        return MailingState.CANCELLED
    if mailing.finished_at:
        return MailingState.FINISHED
    if mailing.draft or mailing.starts_at is None or mailing.ends_at is None:
        return MailingState.DRAFT  # also behind its end, which can still be moved
    if now >= mailing.ends_at:
        return MailingState.FINISHED
    if mailing.paused_at:
        return MailingState.PAUSED
    return MailingState.RUNNING if now >= mailing.starts_at else MailingState.SCHEDULED


def paused_because(mailing: Mailing, now: datetime) -> PausedBecause | None:
    """None: it is not paused. A mailing is halted once at the most; whoever pauses it after that is a person."""
    if mailing_state(mailing, now) is not MailingState.PAUSED:
        return None
    return PausedBecause.HALTED if mailing.paused_at == mailing.halted_at else PausedBecause.PERSON


ENDED = frozenset({MailingState.FINISHED, MailingState.CANCELLED})
