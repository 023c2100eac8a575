"""What somebody is sent of a mailing, before it is: made by what makes it when it is sent."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, or_, select
from sqlalchemy.orm import Session

from api_service.mailings import store
from api_service.web.problems import NotFound
from api_service.web.work import Work
from shared.audience.members import unmatched
from shared.database.models import Client, Mailing
from shared.domain.gates.gate import Case, Skip
from shared.domain.gates.order import GATES, first_stop
from shared.domain.message import FINAL_STATES, UNDELIVERED_STATES, MessageState
from shared.domain.reason import Reason
from shared.domain.segments import Audience
from shared.domain.text.template import made_of
from shared.domain.text.unmade import Unmade
from shared.messages.find import find_of_client

_SKIPPING = tuple(gate for gate in GATES if gate.reason)

Message = Row[Any]
View = dict[str, Any]


class _Sent(NamedTuple):
    """text: None: nothing. is_fixed: whatever changes. why: nothing is sent, for people."""

    text: str | None
    is_fixed: bool = False
    reason: Reason | None = None
    why: str | None = None


class _Asked(NamedTuple):
    """What gates read of a message that there is none of yet."""

    is_suppressed: bool


def preview(work: Work, mailing_id: int, client_id: int) -> View:
    """Raises NotFound."""
    with work.look() as session:
        return _preview(session, store.find(session, mailing_id), client_id, session.get(Client, client_id))


def preview_some(work: Work, mailing_id: int, most: int, among: int) -> list[View]:
    """Of the first clients of the directory, as many as that, those that it is for: the same of each, with their
    phone. Raises NotFound."""
    with work.look() as session:
        mailing = store.find(session, mailing_id)
        clients = session.scalars(select(Client).order_by(Client.id).limit(among))
        seen = (_preview(session, mailing, one.id, one) | {"phone": one.phone} for one in clients.all())
        return list(islice((one for one in seen if one["in_audience"]), most))


def _preview(session: Session, mailing: Mailing, client_id: int, client: Client | None) -> View:
    """Raises NotFound."""
    message = _message_of(session.connection(), mailing, client_id)
    settled = None if message is None else _settled(mailing, message)
    if client is None and settled is None:
        raise NotFound(f"There is no client {client_id}.")
    sent = settled or _made(mailing, client)
    members = _unmatched(session.connection(), mailing, client_id)
    return {
        "mailing_id": mailing.id,
        "client_id": client_id,
        "text": sent.text,
        "is_fixed": sent.is_fixed,
        "skipped_because": sent.reason,
        "explanation": sent.why,
        "in_audience": message is not None or _is_to_come(session, mailing, client_id, members),
        "unmatched": members,
    }


def _message_of(connection: Connection, mailing: Mailing, client_id: int) -> Message | None:
    return None if mailing.part is None else find_of_client(connection, mailing.part, mailing.id, client_id)


def _settled(mailing: Mailing, message: Message) -> _Sent | None:
    """What is, or was, sent whatever changes; None: that is not settled."""
    if message.text is not None:
        return _Sent(message.text, is_fixed=True)
    if message.status not in FINAL_STATES:
        return None
    if message.status == MessageState.SKIPPED:
        reason = Reason(message.error)
        return _Sent(None, is_fixed=True, reason=reason, why=_sentence(reason))
    was_called = message.calls > 0 or message.maybe_delivered
    return _Sent(mailing.text if was_called and not mailing.personal else None, is_fixed=True)


def _made(mailing: Mailing, client: Any) -> _Sent:
    """As of now."""
    text = made_of(mailing.text, mailing.personal, client.attributes)
    stop = first_stop(Case(mailing, _Asked(client.suppression_id is not None), text), _SKIPPING)
    if isinstance(stop, Skip):
        why = text.why if isinstance(text, Unmade) and text.reason is stop.reason else _sentence(stop.reason)
        return _Sent(None, reason=stop.reason, why=why)
    return _Sent(str(text))


def _sentence(reason: Reason) -> str:
    return f"{reason.meaning[:1].upper()}{reason.meaning[1:]}."


def _unmatched(connection: Connection, mailing: Mailing, client_id: int) -> Sequence[str]:
    """Of a retry it is not the filter that decides."""
    if mailing.retry_of is not None:
        return ()
    return unmatched(connection, Audience.of(mailing.filter, mailing.fixed_segments), client_id) or ()


def _is_to_come(session: Session, mailing: Mailing, client_id: int, members: Sequence[str]) -> bool:
    """Whether the launch would make them a message, as they are now."""
    if mailing.launched_at is not None or members:
        return False
    if mailing.retry_of is not None:
        return _is_to_be_retried(session, mailing, client_id)
    return mailing.audience_limit is None or mailing.audience_cursor < client_id <= mailing.audience_limit


def _is_to_be_retried(session: Session, mailing: Mailing, client_id: int) -> bool:
    """Whether their message ended so, and no other retry of the family has reached them, or may have."""
    root = mailing.retry_root
    family = session.scalars(select(Mailing).where(or_(Mailing.id == root, Mailing.retry_root == root)))
    messages = {one.id: _message_of(session.connection(), one, client_id) for one in family}
    source = next((messages[each] for each in messages if each == mailing.retry_of), None)
    if source is None or source.status not in mailing.retry_states:
        return False
    others = [one for each, one in messages.items() if each not in (mailing.id, mailing.retry_of, root)]
    is_wanted = not mailing.retry_errors or source.error in mailing.retry_errors
    return is_wanted and all(one is None or one.status in UNDELIVERED_STATES for one in others)
