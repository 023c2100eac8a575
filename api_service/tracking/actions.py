"""What is asked of single messages: a function is a question."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.orm import Session

from api_service.mailings import store as mailings
from api_service.tracking import explain, explain_retry, history, sources, store
from api_service.tracking.explain import Facts, Standing
from api_service.tracking.in_common import Common, walk_messages
from api_service.web.page import After, Listing, Part
from api_service.web.problems import NotFound
from api_service.web.work import Work, moment
from shared.audience.members import unmatched
from shared.audit import was_deleted
from shared.database.models import Client, Mailing
from shared.domain.message import MessageState
from shared.domain.receipt import ReceiptState
from shared.domain.segments import Audience
from shared.messages.attempts import last_words, read_attempts
from shared.messages.find import find_message, find_of_client
from shared.messages.receipts import find_early_receipt, find_receipts

View = dict[str, Any]

_SHOWN = ("id", "mailing_id", "client_id", "status", "calls", "attempts", "error", "sent_at", "due_at")


def list_of_mailing(work: Work, mailing_id: int, status: MessageState | None, part: Part) -> Listing[View]:
    """In the order of ids. Raises NotFound."""
    with work.look() as session:
        mailing = mailings.find(session, mailing_id)
        figures = mailings.figures(session, [mailing])[mailing_id]
        return shown(session, store.list_messages(session, mailing, status, figures, part))


def list_of_common(work: Work, mailing_id: int, common: Common, part: After) -> Listing[View]:
    """Those messages of a mailing that have something in common, in the order of ids. Raises NotFound."""
    with work.look() as session:
        return shown(session, walk_messages(session, mailings.find(session, mailing_id), common, part))


def list_of_client(work: Work, client_id: int, part: Part) -> Listing[View]:
    """The latest mailings first. Raises NotFound, Invalid."""
    with work.look() as session:
        listing = history.list_history(session, client_id, part)
        if not listing.rows:
            history.check_known(session, client_id)
        return shown(session, listing)


def list_of_phone(work: Work, phone: int, part: Part) -> Listing[View]:
    """Of the client who has it now; none where nobody has. Raises Invalid."""
    with work.look() as session:
        client_id = history.client_with(session, phone)
        if client_id is None:
            return Listing([], part, 0)
        return shown(session, history.list_history(session, client_id, part))


def find(work: Work, message_id: int) -> View:
    """With its attempts. Raises NotFound."""
    with work.look() as session:
        connection = session.connection()
        message = find_message(connection, message_id)
        mailing = None if message is None else session.get(Mailing, message.mailing_id)
        if message is None or mailing is None or mailing.test is not work.is_test:
            raise NotFound(f"There is no message {message_id}, or not any more.")
        return _one(connection, message, mailing)


def standing(work: Work, mailing_id: int, client_id: int) -> View:
    """Where a client stands with a mailing. Raises NotFound."""
    with work.look() as session:
        connection = session.connection()
        mailing = mailings.find(session, mailing_id)
        client = session.get(Client, client_id)
        audience = Audience.of(mailing.filter, mailing.fixed_segments)
        members = unmatched(connection, audience, client_id) or [] if mailing.retry_of is None else []
        facts = Facts(mailing, client, members, moment(connection))
        found = None if mailing.part is None else find_of_client(connection, mailing.part, mailing_id, client_id)
        view: View = {"mailing_id": mailing_id, "client_id": client_id, "message": None, "reason": None}
        if found is not None:
            message = view["message"] = _one(connection, found, mailing)
            return view | {"unmatched": [], "explanation": explain.of_message(facts, _standing(message))}
        if client is None and not was_deleted(connection, "client", client_id):
            raise NotFound(f"There is no client {client_id}.")
        source = None if mailing.retry_of is None else sources.read(connection, mailing, client_id)
    reason, explanation = explain.of_none(facts, client_id) if source is None else explain_retry.of_none(facts, source)
    return view | {"reason": reason, "unmatched": facts.unmatched, "explanation": explanation}


def shown(session: Session, listing: Listing[Any]) -> Listing[View]:
    """As `MessageSchema` wants them."""
    words = _words(session.connection(), listing.rows)
    receipts = _receipts(session.connection(), listing.rows)
    return listing.of(lambda row: _view(row, words.get(row.id), receipts.get(row.id)))


def _words(connection: Connection, rows: Iterable[Any]) -> Mapping[int, str]:
    """Of the provider, by message: what did not fail has no attempt that did."""
    failed = defaultdict(list)
    for row in rows:
        if row.error is not None:
            failed[row.part].append(row.id)
    words: dict[int, str] = {}
    for part, ids in failed.items():
        words |= last_words(connection, part, ids)
    return words


def _receipts(connection: Connection, rows: Iterable[Any]) -> Mapping[int, Any]:
    """By message: only what is final has one."""
    final = defaultdict(list)
    for row in rows:
        if row.due_at is None:
            final[row.part].append(row.id)
    receipts: dict[int, Any] = {}
    for part, ids in final.items():
        receipts |= find_receipts(connection, part, ids)
    return receipts


def _view(row: Any, words: str | None, receipt: Any) -> View:
    view = {name: getattr(row, name) for name in _SHOWN}
    phone = None if row.phone is None else str(row.phone)
    view |= {"status": MessageState(row.status), "phone": phone, "provider_words": words}
    state, at, reason = (
        (None, None, None) if receipt is None else (ReceiptState(receipt.state), receipt.at, receipt.reason)
    )
    return view | {"receipt": state, "receipt_at": at, "receipt_reason": reason}


def _one(connection: Connection, row: Row[Any], mailing: Mailing | None) -> View:
    made = [
        {"number": one.number, "at": one.at, "error": one.error, "provider_words": one.words}
        for one in read_attempts(connection, row.part, row.id)
    ]
    words = made[-1]["provider_words"] if made and row.error is not None else None
    if row.sent_at is not None:
        made.append({"number": row.attempts, "at": row.sent_at, "error": None, "provider_words": None})
    receipt = _receipts(connection, [row]).get(row.id) or find_early_receipt(connection, row.id)
    return _view(row, words, receipt) | {"text": _text(row, mailing), "attempts_made": made}


def _text(row: Row[Any], mailing: Mailing | None) -> str | None:
    """What the provider is given, if that is settled."""
    text: str | None = row.text
    if text is None and mailing is not None and not mailing.personal and (row.calls or row.maybe_delivered):
        return mailing.text
    return text


def _standing(view: View) -> Standing:
    return Standing(
        view["status"], view["error"], view["provider_words"], view["due_at"], view["sent_at"], view["receipt"]
    )
