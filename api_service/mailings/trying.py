"""What can be done to try a mailing out on a few phones: a function is a use case, and one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from api_service.mailings import store
from api_service.mailings.schema import SETTABLE
from api_service.web.parts import Announcer
from api_service.web.problems import Invalid, TooLate
from api_service.web.work import Work, moment
from shared.database.models import Client, Mailing
from shared.domain.filter import Filter
from shared.domain.mailing import ENDED, mailing_state
from shared.domain.message import MessageState
from shared.domain.priority import Priority
from shared.domain.receipt import ReceiptState
from shared.domain.text.template import made_of
from shared.domain.text.unmade import Unmade
from shared.messages.attempts import last_words
from shared.messages.receipts import find_receipts
from shared.messages.try_out import create_trial, read_trials

View = dict[str, Any]

LASTS = timedelta(hours=1)
"""What is not sent by then is not worth it any more."""

SHOWN = 10
"""Trials of a mailing, the latest ones."""

COPIED = SETTABLE - {"name", "draft", "starts_at", "ends_at", "filter", "send_window", "reference", "priority"}
"""What a trial has of its mailing: all that says what is sent, and how."""


def create(
    work: Work, announcer: Announcer, mailing_id: int, phones: Sequence[int], client_id: int | None = None
) -> View:
    """Sends what the mailing would send now to clients with these phones. Raises NotFound, Invalid, TooLate.

    client_id: of whose attributes the text is made; None: of those of each.
    """
    with work.act() as act:
        mailing = store.find(act.session, mailing_id)
        now = moment(act.connection)
        if (state := mailing_state(mailing, now)) in ENDED:
            raise TooLate(f"The mailing is {state}: it is too late to try it out.")
        client_ids = _clients(act.session, phones)
        trial = Mailing(
            **{name: getattr(mailing, name) for name in COPIED},
            starts_at=now,
            ends_at=now + LASTS,
            filter=Filter(),
            priority=Priority.URGENT,
            test=mailing.test,
            trial_of=mailing_id,
        )
        if client_id is not None:
            trial.text = _text(act.session, mailing, client_id)
            trial.personal = False
        act.session.add(trial)
        act.session.flush()
        create_trial(act.connection, act.entries, trial.id, client_ids)
        act.session.refresh(trial)
        act.note("test", "mailing", mailing_id, after={"phones": len(phones)})
        act.afterwards(partial(announcer.announce, trial.id))
        return _shown(act.connection, [trial])[0]


def list_last(work: Work, mailing_id: int) -> Sequence[View]:
    """The latest ones first. Raises NotFound."""
    with work.look() as session:
        store.find(session, mailing_id)
        query = select(Mailing).where(Mailing.trial_of == mailing_id).order_by(Mailing.id.desc()).limit(SHOWN)
        return _shown(session.connection(), session.scalars(query).all())


def _clients(session: Session, phones: Sequence[int]) -> Sequence[int]:
    """Who has them, in their order. Raises Invalid where nobody has one."""
    known = dict(session.execute(select(Client.phone, Client.id).where(Client.phone.in_(phones))).tuples().all())
    if unknown := {str(at): [NOBODY] for at, phone in enumerate(phones) if phone not in known}:
        raise Invalid({"phones": unknown})
    return [known[phone] for phone in phones]


def _text(session: Session, mailing: Mailing, client_id: int) -> str:
    """What this client would get. Raises Invalid."""
    client = session.get(Client, client_id)
    if client is None:
        raise Invalid({"client_id": [f"There is no client {client_id}."]})
    text = made_of(mailing.text, mailing.personal, client.attributes)
    if isinstance(text, Unmade):
        raise Invalid({"client_id": [text.why]})
    return text


NOBODY = "No client has this phone: add them to the directory first."


def _shown(connection: Connection, trials: Sequence[Mailing]) -> list[View]:
    messages: dict[int, list[View]] = defaultdict(list)
    for part, some in _by_part(trials).items():
        rows = read_trials(connection, part, some)
        words = last_words(connection, part, [row.id for row in rows if row.error is not None])
        receipts = find_receipts(connection, part, [row.id for row in rows])
        for row in rows:
            receipt = receipts[row.id].state if row.id in receipts else None
            messages[row.mailing_id].append(_message(dict(row._mapping), words.get(row.id), receipt))
    return [{"at": trial.created_at, "text": trial.text, "messages": messages[trial.id]} for trial in trials]


def _by_part(trials: Iterable[Mailing]) -> Mapping[int, Sequence[tuple[int, int, int]]]:
    """Those of which there are messages: their ids, and those of their first and last message."""
    found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for trial in trials:
        part, first, last = trial.part, trial.first_message_id, trial.last_message_id
        if trial.messages_removed_at is None and part is not None and first is not None and last is not None:
            found[part].append((trial.id, first, last))
    return found


def _message(row: Mapping[str, Any], words: str | None, receipt: str | None) -> View:
    """The phone of who was erased is not known any more."""
    phone = None if row["phone"] is None else str(row["phone"])
    return {
        **row,
        "phone": phone,
        "status": MessageState(row["status"]),
        "provider_words": words,
        "receipt": receipt and ReceiptState(receipt),
    }
