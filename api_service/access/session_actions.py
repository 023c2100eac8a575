"""What can be done with sessions of others: a function is a use case, and one transaction."""

from collections.abc import Sequence

from api_service.access import session_store as store
from api_service.access.session_store import SignedIn
from api_service.web.problems import NotFound
from api_service.web.work import Work

_SHOWN = 12
"""Characters of an id that the audit has: they tell it from others."""


def list_part(work: Work, after: str, size: int) -> tuple[Sequence[SignedIn], str | None]:
    """Who is signed in, the latest first, from behind the session of this id; and the id after which there is more."""
    with work.read() as session:
        found = store.listed(session.connection(), after, size + 1)
    return found[:size], found[size - 1].id if len(found) > size else None


def find(work: Work, session_id: str) -> SignedIn:
    """Raises NotFound."""
    with work.read() as session:
        return _known(store.find(session.connection(), session_id))


def end(work: Work, session_id: str) -> None:
    """From the next request on it opens nothing. Raises NotFound."""
    with work.act() as act:
        one = _known(store.find(act.connection, session_id))
        store.delete(act.connection, session_id)
        act.note("end", "session", session_id[:_SHOWN], after={"by": one.by})


def _known(found: SignedIn | None) -> SignedIn:
    if found is None:
        raise NotFound("There is no such session, or no more.")
    return found
