"""What is asked before a draft is started: a check is a function, and joins the list."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api_service.mailings import rules
from api_service.web.problems import Blocked
from shared.database.models import Mailing

Check = Callable[[Session, Mailing, datetime], Mapping[str, Any]]
"""check(session, mailing, now): what stands in the way, as lists of sentences by field. The mailing is locked."""


def _times(_: Session, mailing: Mailing, now: datetime) -> Mapping[str, Any]:
    return rules.blockers(mailing, now)


CHECKS: tuple[Check, ...] = (_times,)


def check(session: Session, mailing: Mailing, now: datetime) -> None:
    """Raises Blocked, with what all checks found."""
    if found := {field: sentences for one in CHECKS for field, sentences in one(session, mailing, now).items()}:
        raise Blocked("The mailing cannot start as it is.", found)
