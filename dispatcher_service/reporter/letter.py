"""The letter: a report as an e-mail, with an HTML part, which has a plot, and a plain one."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from dispatcher_service.reporter.plot import bars
from dispatcher_service.reporter.words import ENGLISH, Words
from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.ledger.day import UNTRIED
from shared.ledger.report import Report

STATES = [state for state in MessageState if state in FINAL_STATES]
"""The states that a message can end in, in the order of the letter."""

_COLOURS = {
    MessageState.SENT: "#1f8a5b",
    MessageState.FAILED: "#c8453b",
    MessageState.UNKNOWN: "#d99a2b",
    MessageState.EXPIRED: "#8a94a6",
}
_OTHER_COLOUR = "#c3cad5"
_BARS = ((0x1F, 0x8A, 0x5B), (0xC8, 0x45, 0x3B))

_SHOWN_IDS = 50
_SHOWN_TEXT = 60
_SHOWN_CODES = 20
_PLOT = "plot.{}@report"
"""The address of the plot within the mail."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to whom; addresses as in a header, with or without a name. words: its language."""

    sender: str
    recipients: Sequence[str]
    words: Words = ENGLISH


def compose(report: Report, envelope: Envelope, deployment: str, now: datetime) -> EmailMessage:
    """The mail of a day. Its Message-ID depends only on the day, `deployment` and the sender's domain.

    So a mail that goes out twice because of a crash can be told for what it is.
    """
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Subject"] = subject(report, envelope.words)
    message["From"] = _address(envelope.sender)
    message["To"] = [_address(recipient) for recipient in envelope.recipients]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id(report.day, envelope.sender, deployment)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain(report, envelope.words))
    message.add_alternative(html(report, envelope.words), subtype="html")
    if report.finished:
        page = message.get_payload()[1]  # type: ignore[index]  # of two parts this is the second
        page.add_related(bars(report.hours, _BARS), "image", "png", cid=f"<{plot(report)}>")  # type: ignore[union-attr]
    return message


def message_id(day: date, sender: str, deployment: str) -> str:
    return f"<report.{day.isoformat()}.{deployment}@{_address(sender).domain}>"


def plot(report: Report) -> str:
    """Where the plot of a report stands in its mail."""
    return _PLOT.format(report.day.isoformat())


def subject(report: Report, words: Words = ENGLISH) -> str:
    """Short enough for one line of a mail's header, which not every program unfolds well."""
    parts = [words.warns_ledger] if report.figures.unbalanced else []
    if report.failed.number:
        parts.append(words.warns_failed.format(number=report.failed.number))
    rate = words.accepted_rate.format(rate=_percent(report.accepted_permille, words))
    said = rate if report.finished else words.no_messages
    return " ".join([*parts, f"{words.title.format(day=words.day(report.day))}: {said}"])


def plain(report: Report, words: Words = ENGLISH) -> str:
    return _rendered("report.txt", report, words)


def html(report: Report, words: Words = ENGLISH) -> str:
    return _rendered("report.html", report, words)


def _rendered(template: str, report: Report, words: Words) -> str:
    operators = list(report.breakdown.by_operator.items())
    return _templates.get_template(template).render(
        report=report,
        words=words,
        plot=plot(report),
        most=max(map(sum, report.hours), default=0),
        operators=operators[:_SHOWN_CODES],
        more_operators=max(0, len(operators) - _SHOWN_CODES),
        percent=lambda permille: _percent(permille, words),
        number=lambda value: _number(value, words),
        ids=lambda ids, number=0: _ids(ids, number or len(ids), words),
    )


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(name, addr_spec=address)


def _percent(permille: int | None, words: Words) -> str:
    return "—" if permille is None else f"{permille // 10}{words.comma}{permille % 10} %"


def _number(value: int, words: Words) -> str:
    return f"{value:,}".replace(",", words.thousands)


def _excerpt(text: str) -> str:
    """The beginning of a text in one line, without characters that control how it is shown."""
    line = " ".join("".join(char for char in text if char.isspace() or not _controls(char)).split())
    return line if len(line) <= _SHOWN_TEXT else line[: _SHOWN_TEXT - 1].rstrip() + "…"


def _controls(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"


def _colour(state: MessageState) -> str:
    return _COLOURS.get(state, _OTHER_COLOUR)


def _ids(ids: Sequence[int], number: int, words: Words) -> str:
    """number: of all of them."""
    shown, more = ", ".join(map(str, ids[:_SHOWN_IDS])), number - min(len(ids), _SHOWN_IDS)
    return words.more.format(ids=shown, more=more) if more > 0 else shown


def _permille(states: Mapping[MessageState, int]) -> int | None:
    tried = sum(number for state, number in states.items() if state not in UNTRIED)
    return states.get(MessageState.SENT, 0) * 1000 // tried if tried else None


_templates = Environment(
    loader=PackageLoader("dispatcher_service.reporter"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_templates.filters.update(excerpt=_excerpt, colour=_colour, permille=_permille)
_templates.globals.update(STATES=STATES, ERRORS=list(Error))
