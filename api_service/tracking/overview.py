"""Where everything stands, and one mailing, at one moment: from counters alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from api_service.mailings import store as mailings
from api_service.web.work import Work, moment
from shared.database.models import Mailing
from shared.domain.course import Course, Moment, course
from shared.domain.mailing import MailingState, PausedBecause, mailing_state, paused_because
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.ledger.figures import Figures, read_errors, read_reasons, read_repeated
from shared.ledger.moments import read_moments
from shared.rates.paces import paces


@dataclass(frozen=True, slots=True)
class Overview:
    """pace: messages per second, of all dispatchers. dispatchers: that are alive."""

    now: datetime
    totals: Figures
    pace: float
    dispatchers: int


@dataclass(frozen=True, slots=True)
class OfMailing:
    """errors: attempts that did not succeed, by kind. skipped: messages by reason. repeated: calls that somebody may
    have got twice."""

    now: datetime
    mailing: Mailing
    state: MailingState
    paused_because: PausedBecause | None
    figures: Figures
    errors: Mapping[Error, int]
    skipped: Mapping[Reason, int]
    repeated: int


def of_all(work: Work) -> Overview:
    with work.look() as session:
        connection = session.connection()
        alive = paces(connection)
        return Overview(moment(connection), mailings.totals(session), sum(alive), len(alive))


def of_mailing(work: Work, mailing_id: int) -> OfMailing:
    """Raises NotFound."""
    with work.look() as session:
        return read(session, mailing_id)


class Watched(NamedTuple):
    """A mailing that somebody watches. ahead: what its messages wait for, and when they are done, as a mailing has it.
    course: how fast they came to an end until now; None: none has yet, or nobody noted it."""

    seen: OfMailing
    ahead: Mapping[str, Any]
    course: Course | None


def watched(work: Work, mailing_id: int) -> Watched:
    """Raises NotFound."""
    with work.look() as session:
        seen = read(session, mailing_id)
        ahead = mailings.ahead_of(session, seen.mailing, seen.figures, seen.now)
        return Watched(seen, ahead, _course(session.connection(), seen))


def _course(connection: Connection, seen: OfMailing) -> Course | None:
    """What has moved since it was noted did so by now, or by its end."""
    figures, noted = seen.figures, read_moments(connection, seen.mailing.id)
    failed = figures.states[MessageState.FAILED] + figures.states[MessageState.UNKNOWN]
    last = Moment(seen.mailing.finished_at or seen.now, figures.states[MessageState.SENT], failed)
    return course([*noted, last], figures.first_sent_at) if noted else None


def read(session: Session, mailing_id: int) -> OfMailing:
    """As a part of more that is looked at. Raises NotFound."""
    connection = session.connection()
    mailing = mailings.find(session, mailing_id)
    now = moment(connection)
    return OfMailing(
        now,
        mailing,
        mailing_state(mailing, now),
        paused_because(mailing, now),
        mailings.figures(session, [mailing])[mailing_id],
        read_errors(connection, mailing_id),
        read_reasons(connection, mailing_id),
        read_repeated(connection, mailing_id),
    )
