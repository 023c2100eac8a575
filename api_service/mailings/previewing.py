"""What somebody is sent of a mailing, before it is: made by what makes it when it is sent."""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from api_service.mailings import store
from api_service.web.problems import NotFound
from api_service.web.work import Work
from shared.audience.members import unmatched
from shared.database.models import Client, Mailing
from shared.domain.gates.gate import Case, Skip
from shared.domain.gates.order import GATES, first_stop
from shared.domain.segments import Audience
from shared.domain.text.template import made_of
from shared.domain.text.unmade import Unmade
from shared.messages.find import find_of_client

_SKIPPING = tuple(gate for gate in GATES if gate.reason)


class _Asked(NamedTuple):
    """What gates read of a message that there is none of yet."""

    is_suppressed: bool


def preview(work: Work, mailing_id: int, client_id: int) -> dict[str, Any]:
    """Raises NotFound."""
    with work.look() as session:
        mailing = store.find(session, mailing_id)
        client = session.get(Client, client_id)
        connection = session.connection()
        message = None
        if mailing.part is not None:
            message = find_of_client(connection, mailing.part, mailing_id, client_id)
        if message is not None and message.text is not None:
            text, is_fixed = message.text, True
        elif client is None:
            raise NotFound(f"There is no client {client_id}.")
        else:
            text, is_fixed = made_of(mailing.text, mailing.personal, client.attributes), False
        stop = None
        if client is not None and not is_fixed:
            stop = first_stop(Case(mailing, _Asked(client.suppression_id is not None), text), _SKIPPING)
        members = _unmatched(connection, mailing, client_id)
        return {
            "mailing_id": mailing_id,
            "client_id": client_id,
            "text": None if stop else text,
            "is_fixed": is_fixed,
            "skipped_because": stop.reason if isinstance(stop, Skip) else None,
            "explanation": _explanation(text, stop),
            "in_audience": message is not None or _is_to_come(mailing, client_id, members),
            "unmatched": members,
        }


def _unmatched(connection: Connection, mailing: Mailing, client_id: int) -> list[str]:
    return list(unmatched(connection, Audience.of(mailing.filter, mailing.fixed_segments), client_id) or ())


def _is_to_come(mailing: Mailing, client_id: int, members: list[str]) -> bool:
    """Whether the launch would make them a message, as they are now."""
    if mailing.launched_at is not None or members:
        return False
    return mailing.audience_limit is None or mailing.audience_cursor < client_id <= mailing.audience_limit


def _explanation(text: str | Unmade, stop: Any) -> str | None:
    """Why they would be left out."""
    if isinstance(text, Unmade):
        return text.why
    if not isinstance(stop, Skip):
        return None
    return f"{stop.reason.meaning[:1].upper()}{stop.reason.meaning[1:]}."
