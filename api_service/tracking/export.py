"""Messages as a file."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from api_service.mailings import store as mailings
from api_service.tracking import history
from api_service.tracking.in_common import Common
from api_service.web import export
from api_service.web.work import Work
from shared.database.lines import Style
from shared.database.models import Mailing
from shared.domain.message import MessageState
from shared.domain.receipt import counted_under
from shared.messages.export import COLUMNS, PERSONAL, Stretch, history_lines, parts_of_history, read_lines

_NO_END = 2**63 - 1


class Wanted(NamedTuple):
    """Of a mailing's messages: those in one state, or that have something in common; all, where neither is said."""

    status: MessageState | None = None
    common: Common = Common()


def of_mailing(work: Work, mailing_id: int, wanted: Wanted, style: Style) -> tuple[Sequence[str], Iterator[str]]:
    """The columns, and the lines of a mailing's messages, page by page. Raises NotFound."""
    with work.read() as session:
        mailing = mailings.find(session, mailing_id)
    return list(PERSONAL if mailing.personal else COLUMNS), _pages(work, mailing, wanted, style)


def _pages(work: Work, mailing: Mailing, wanted: Wanted, style: Style) -> Iterator[str]:
    part, first, last = mailing.part, mailing.first_message_id, mailing.last_message_id
    if part is None or first is None or last is None or mailing.messages_removed_at is not None:
        return
    error, receipt = wanted.common
    status, state = (wanted.status, None) if receipt is None else counted_under(receipt)
    stretch = Stretch(part, mailing.id, first, last, status, error, state, mailing.personal)
    after: int | None = 0
    while after is not None:
        with work.read() as session:
            lines = read_lines(session.connection(), stretch, style, after, export.ROWS)
        if lines.text is not None:
            yield lines.text
        after = lines.last


def of_client(work: Work, client_id: int, style: Style) -> Iterator[str]:
    """What a client was ever sent, the latest mailings first. Raises NotFound."""
    with work.read() as session:
        parts = parts_of_history(session.connection())
    is_known = False
    for part in parts:
        before: int | None = _NO_END
        while before is not None:
            with work.read() as session:
                connection, place = session.connection(), (part, before)
                lines = history_lines(connection, client_id, place, style, export.ROWS, is_test=work.is_test)
            if lines.text is not None:
                is_known = True
                yield lines.text
            before = lines.last
    if not is_known:
        with work.read() as session:
            history.check_known(session, client_id)


def of_phone(work: Work, phone: int, style: Style) -> Iterator[str]:
    """Of the client who has it now; nothing where nobody has."""
    with work.read() as session:
        client_id = history.client_with(session, phone)
    if client_id is not None:
        yield from of_client(work, client_id, style)
