"""What is asked of the service as a whole: a function is a question."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from api_service.web.page import After, Listing, cut
from api_service.web.work import Work
from shared.audit import last_complete
from shared.database.models import Audit


def list_changes(work: Work, part: After, filters: Mapping[str, Any], *, newest_first: bool = False) -> Listing[Audit]:
    """Lines of the audit as far as none can appear before them any more, in the order of ids."""
    with work.read() as session:
        there = select(Audit).filter_by(**filters).where(Audit.id <= last_complete(session.connection()))
        return cut(session, there, Audit.id, part, descending=newest_first)
