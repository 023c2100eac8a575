"""Why somebody has a message that stands where it does, or has none, for people. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from api_service.tracking.absence import Absence
from shared.database.models import Client, Mailing
from shared.domain.hours import hours_of
from shared.domain.mailing import ENDED, MailingState, PausedBecause, mailing_state, paused_because
from shared.domain.message import WAITING_STATES, Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import ReceiptState

_SHOWN = 5
"""Values of a member that are named."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a client and a mailing at one moment.

    client: None: they are not in the directory. unmatched: members of the filter.
    """

    mailing: Mailing
    client: Client | None
    unmatched: Sequence[str]
    now: datetime

    @property
    def state(self) -> MailingState:
        return mailing_state(self.mailing, self.now)


@dataclass(frozen=True, slots=True)
class Standing:
    """error: of the last attempt, or why it was skipped. words: of the provider, with the last attempt."""

    status: MessageState
    error: str | None
    words: str | None
    due_at: datetime | None
    sent_at: datetime | None
    receipt: ReceiptState | None = None


def of_message(facts: Facts, message: Standing) -> str:
    """Why it stands where it does, and what the provider has said since."""
    said = "" if message.receipt is None else f" Since then {message.receipt.meaning}."
    return f"{_of_status(facts, message)}{said}"


def _of_status(facts: Facts, message: Standing) -> str:
    if message.status in WAITING_STATES:
        return _of_waiting(facts, message)
    told = f"The message is {message.status}: {message.status.meaning}."
    match message.status:
        case MessageState.SENT if message.sent_at:
            return f"The provider accepted the message at {_at(message.sent_at)}."
        case MessageState.SKIPPED if message.error in _REASONS:
            return f"The message was left out: {_REASONS[message.error]}."
        case MessageState.CANCELLED if facts.mailing.cancelled_at is None and facts.client is None:
            return "The message was cancelled, because the client was deleted before it was sent."
        case MessageState.CANCELLED if facts.mailing.cancelled_at is not None:
            return f"The message was cancelled with the mailing at {_at(facts.mailing.cancelled_at)}."
        case MessageState.EXPIRED:
            told = f"The mailing ended at {_at(facts.mailing.ends_at)}, before the message was delivered."
    return f"{told}{_trouble(message)}"


def _of_waiting(facts: Facts, message: Standing) -> str:
    if facts.state in ENDED:
        return f"The mailing is {facts.state}: the message is about to be closed.{_trouble(message)}"
    if facts.state is MailingState.PAUSED:
        return f"The message waits, since {_paused(facts)}.{_trouble(message)}"
    window = facts.mailing.send_window
    if window is not None and facts.client is not None:
        is_open, change = hours_of(window, facts.client.timezone).at(facts.now)
        if not is_open:
            hours = f"{window.start:%H:%M} to {window.end:%H:%M} in {facts.client.timezone}"
            return f"The message waits for the send window, {hours}, which opens at {_at(change)}.{_trouble(message)}"
    if message.due_at is not None and message.due_at > facts.now:
        return f"The message waits for its next call, at {_at(message.due_at)}.{_trouble(message)}"
    return f"The message is due, and waits for its turn.{_trouble(message)}"


def _paused(facts: Facts) -> str:
    if paused_because(facts.mailing, facts.now) is not PausedBecause.HALTED:
        return "the mailing is paused"
    words = (
        f", the last of them with the words “{facts.mailing.provider_words}”" if facts.mailing.provider_words else ""
    )
    return f"the mailing is halted: the provider refused its first messages{words}"


def _trouble(message: Standing) -> str:
    if message.error is None:
        return ""
    meaning = f": {_ERRORS[message.error]}" if message.error in _ERRORS else ""
    words = f" The provider said “{message.words}”." if message.words else ""
    return f" Its last attempt did not succeed ({message.error}){meaning}.{words}"


_ERRORS = {str(error): error.meaning for error in Error}
_REASONS = {str(reason): reason.meaning for reason in Reason}


def of_none(facts: Facts, client_id: int) -> tuple[Absence, str]:
    """Why there is no message. client: who is not there was deleted."""
    mailing, limit = facts.mailing, facts.mailing.audience_limit
    if mailing.messages_removed_at is not None:
        removed = _at(mailing.messages_removed_at)
        return Absence.ROWS_GONE, f"The messages of the mailing are not kept any more, since {removed}."
    if limit is not None and client_id > limit:
        begun = (
            "They joined the directory after the launch of the mailing had begun, and whoever joins later gets none."
        )
        return Absence.JOINED_LATER, begun
    if facts.client is None:
        return Absence.DELETED, "The client was deleted from the directory, and has no message of the mailing."
    if limit is None or (mailing.launched_at is None and client_id > mailing.audience_cursor):
        return Absence.NOT_LAUNCHED, f"{before_launch(facts)}{_outlook(facts)}"
    if facts.unmatched:
        return Absence.NOT_MATCHED, f"The mailing is not for them: {_members(facts)}."
    return (
        Absence.NOT_MATCHED,
        "They match the filter as they are now, and did not at the launch; a change after it makes no message.",
    )


def before_launch(facts: Facts) -> str:
    """Of a client to whom the launch has not come."""
    match facts.state:
        case MailingState.CANCELLED:
            return "The mailing was cancelled before its launch came to them."
        case MailingState.DRAFT:
            return "The mailing is a draft: nobody gets anything of it before it is started."
        case MailingState.SCHEDULED:
            return f"The mailing is launched at {_at(facts.mailing.starts_at)}."
        case MailingState.PAUSED:
            return f"The launch has not come to them, since {_paused(facts)}."
        case MailingState.FINISHED:
            return "The mailing has ended, and its launch has not come to them."
    return "The mailing is being launched, and has not come to them."


def _outlook(facts: Facts) -> str:
    if facts.state in ENDED:
        return ""
    return f" As they are now it is not for them: {_members(facts)}." if facts.unmatched else " It is for them as well."


def _members(facts: Facts) -> str:
    return "; ".join(_member(facts, name) for name in facts.unmatched)


def _member(facts: Facts, name: str) -> str:
    """What it asks for, and what they are."""
    wanted = facts.mailing.filter
    client = facts.client
    if client is not None and name == "tags":
        return f"it is for the {_some('tag', wanted.tags)}, and theirs is {_quoted(client.tag)}"
    if client is not None and name == "operator_codes":
        codes = _some("operator code", wanted.operator_codes)
        return f"it is for the {codes}, and theirs is {_quoted(client.operator_code)}"
    if name == "imports":
        return f"none of the imports {', '.join(map(str, wanted.imports))} took them"
    if name.startswith("exclude."):
        return f"it leaves out whom `{name}` names, and they are among them"
    return f"they do not match `{name}` of its filter"


def _some(noun: str, wanted: Iterable[str]) -> str:
    values = list(wanted)
    shown = ", ".join(map(_quoted, values[:_SHOWN]))
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"{noun}{'s' if len(values) > 1 else ''} {shown}{more}"


def _quoted(word: str) -> str:
    return f"“{word}”"


def _at(moment: datetime | None) -> str:
    return "a moment that is still open" if moment is None else moment.isoformat(timespec="seconds")
