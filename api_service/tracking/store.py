"""The messages of a mailing, page by page, in the order of their ids, which a launch gives in the order of the clients.

All are in one part, which each query names. Which index leads to a page is settled here, by the counters, and not left
to what the planner believes of the table: a mailing has a million messages before anybody has counted them for it.
"""

from collections.abc import Sequence

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session, aliased

from api_service.web.page import Listing, Part, cut
from shared.database.models import Mailing, Message
from shared.domain.message import HELD_STATES, OPEN_STATES, RARE_STATES, WAITING_STATES, MessageState
from shared.ledger.figures import Figures

FEW = 10_000
"""So many open messages are sorted for a page; more, and it is quicker to walk the mailing until it is full."""


def list_messages(
    session: Session, mailing: Mailing, status: MessageState | None, figures: Figures, part: Part
) -> Listing[Message]:
    """A part of a mailing's messages, all or those in one state.

    figures: of the mailing, as of the same moment. They are counted already, so that the size of a mailing does
    not matter here.
    """
    if mailing.messages_removed_at is not None:
        return Listing([], part, 0)

    def number() -> int:
        return figures.audience if status is None else figures.states[status]

    if status in RARE_STATES:  # by `messages_rare_idx`: nothing else finds five failed messages among a million
        return cut(session, _of(mailing).where(Message.status == status), Message.id, part, number)
    if status in OPEN_STATES and sum(figures.states[one] for one in _together(status)) <= FEW:
        found, message = _few(mailing, status)
        return cut(session, found, message.id, part, number)
    session.execute(_WALK)
    found = _all(mailing) if status is None else _all(mailing).where(Message.status == status)
    return cut(session, found, Message.id, part, number)


_WALK = text("set local enable_sort = off")  # a mailing that it takes for a small one it would read whole, and sort


def _of(mailing: Mailing) -> Select[Message]:
    return select(Message).where(Message.part == mailing.part, Message.mailing_id == mailing.id)


def _all(mailing: Mailing) -> Select[Message]:
    """By their ids, among which there are few of other mailings: of those that were launched at the same time."""
    return _of(mailing).where(Message.id.between(mailing.first_message_id, mailing.last_message_id))


def _few(mailing: Mailing, status: MessageState) -> tuple[Select[Message], type[Message]]:
    """Through an index of open messages, which is in the order of `due_at`; then sorted."""
    here = Message.part == mailing.part, Message.status.in_(_together(status))
    indexed = select(Message).where(*here).order_by(Message.due_at, Message.id).limit(FEW)
    # That of leases knows no mailings, and holds what is on the wire now. The sum keeps other indexes out of it.
    if status in HELD_STATES:
        indexed = indexed.where(Message.mailing_id + 0 == mailing.id)
    else:
        indexed = indexed.where(Message.mailing_id == mailing.id, Message.lane == 0)
    message = aliased(Message, indexed.subquery())
    return select(message).where(message.status == status), message


def _together(status: MessageState) -> Sequence[MessageState]:
    """The states that share an index with this open one."""
    return sorted(HELD_STATES if status in HELD_STATES else WAITING_STATES)
