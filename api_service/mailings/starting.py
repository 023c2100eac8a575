"""What is asked before a draft is started."""

from datetime import datetime

from sqlalchemy import Connection

from api_service.mailings import rules
from api_service.mailings.preflight_actions import refuse_blocked
from api_service.web.problems import Blocked
from shared.database.models import Mailing


def check(connection: Connection, mailing: Mailing, now: datetime) -> None:
    """First that everything is there, by field; then whether anybody would get anything. The mailing is locked. Raises
    Blocked, with all that stands in the way."""
    if found := rules.blockers(mailing, now):
        raise Blocked(found, place="json")
    refuse_blocked(connection, mailing)
