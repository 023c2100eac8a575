"""The letter: a report as an e-mail, with an HTML part and a plain one."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from dispatcher_service.reporter.report import Report
from shared.domain.message import Error, MessageState

STATES = {
    MessageState.SENT: "accepted by the provider",
    MessageState.FAILED: "refused for good, or attempts used up",
    MessageState.UNKNOWN: "attempts used up, may have been delivered",
    MessageState.EXPIRED: "the mailing ended first",
    MessageState.CANCELLED: "mailing cancelled, or client removed",
}
"""The states that a message can end in, in the order of the letter, with their meaning for its reader."""

COLOURS = {
    MessageState.SENT: "#1f8a5b",
    MessageState.FAILED: "#c8453b",
    MessageState.UNKNOWN: "#d99a2b",
    MessageState.EXPIRED: "#8a94a6",
    MessageState.CANCELLED: "#c3cad5",
}

ERRORS = {
    Error.REJECTED: "the provider refuses the message",
    Error.UNAUTHORIZED: "the provider does not accept our token",
    Error.RATE_LIMITED: "too many calls for the provider",
    Error.SERVER_ERROR: "the provider failed",
    Error.BAD_ANSWER: "an answer that makes no sense",
    Error.REDIRECTED: "the provider pointed elsewhere",
    Error.UNREACHABLE: "no connection to the provider",
    Error.TIMED_OUT: "no answer in time",
    Error.CONNECTION_LOST: "the connection broke before the answer",
    Error.LEASE_LOST: "a dispatcher went away, or was too slow",
}

_SHOWN_IDS = 50
_SHOWN_TEXT = 60


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to whom; addresses as in a header, with or without a name."""

    sender: str
    recipients: Sequence[str]


def compose(report: Report, envelope: Envelope, deployment: str, now: datetime) -> EmailMessage:
    """The mail of a day. Its Message-ID depends only on the day, `deployment` and the sender's domain.

    So a mail that goes out twice because of a crash can be told for what it is.
    """
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Subject"] = subject(report)
    message["From"] = _address(envelope.sender)
    message["To"] = [_address(recipient) for recipient in envelope.recipients]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id(report.day, envelope.sender, deployment)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain(report))
    message.add_alternative(html(report), subtype="html")
    return message


def message_id(day: date, sender: str, deployment: str) -> str:
    return f"<report.{day.isoformat()}.{deployment}@{_address(sender).domain}>"


def subject(report: Report) -> str:
    """Short enough for one line of a mail's header, which not every program unfolds well."""
    warning = "Ledger unbalanced! " if report.figures.unbalanced else ""
    if not report.finished:
        return f"{warning}Mailings on {_long(report.day)}: no messages"
    return f"{warning}Mailings on {_long(report.day)}: {_percent(report.delivered_permille)} delivered"


def plain(report: Report) -> str:
    return _templates.get_template("report.txt").render(report=report)


def html(report: Report) -> str:
    return _templates.get_template("report.html").render(report=report)


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(name, addr_spec=address)


def _long(day: date) -> str:
    """Independent of the locale of the process: `30 January 2026`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _percent(permille: int | None) -> str:
    return "—" if permille is None else f"{permille // 10}.{permille % 10} %"


def _number(value: int) -> str:
    return f"{value:,}"


def _excerpt(text: str) -> str:
    """The beginning of a text in one line, without characters that control how it is shown."""
    line = " ".join("".join(char for char in text if char.isspace() or not _controls(char)).split())
    return line if len(line) <= _SHOWN_TEXT else line[: _SHOWN_TEXT - 1].rstrip() + "…"


def _controls(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"


def _ids(ids: Sequence[int]) -> str:
    more = len(ids) - _SHOWN_IDS
    return ", ".join(map(str, ids[:_SHOWN_IDS])) + (f" and {more} more" if more > 0 else "")


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_templates = Environment(
    loader=PackageLoader("dispatcher_service.reporter"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_templates.filters.update(long=_long, percent=_percent, number=_number, excerpt=_excerpt, ids=_ids)
_templates.globals.update(STATES=STATES, COLOURS=COLOURS, ERRORS=ERRORS)
