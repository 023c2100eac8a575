"""Messages as lines of a file, a page in each statement: none of them lasts longer than it takes to read some thousand
rows, whoever waits for the file."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.database.lines import Cell, Column, Style, as_line, as_rows
from shared.domain.message import MessageState
from shared.domain.receipt import ReceiptState
from shared.messages.find import of_kind
from shared.messages.fragments import AnyRow

COLUMNS = {
    "id": Column("m.id"),
    "client_id": Column("m.client_id"),
    "phone": Column("cast(m.phone as text)"),
    "status": Column("m.status"),
    "error": Column("m.error"),
    "provider_words": Column("a.words", Cell.WORDS),
    "attempts": Column("m.attempts"),
    "calls": Column("m.calls"),
    "sent_at": Column("m.sent_at", Cell.MOMENT),
    "receipt": Column("receipts.state"),
    "receipt_at": Column("receipts.at", Cell.MOMENT),
}
"""Of a line, as `shared.database.lines` writes it."""

PERSONAL = COLUMNS | {"text": Column("m.text", Cell.WORDS)}
"""Where each has a text of its own."""

_WHOLE = COLUMNS | {
    "mailing_id": Column("m.mailing_id"),
    "receipt_reason": Column("receipts.reason", Cell.WORDS),
    "due_at": Column("m.due_at", Cell.MOMENT),
}
"""Of the objects of pages, as `MessageSchema` has them."""


class Lines(NamedTuple):
    """text: of a page; None: there is none on it. last: what the next page begins behind; None: this is the last."""

    text: str | None
    last: int | None


class Stretch(NamedTuple):
    """The messages of a mailing: in a part, among these ids; in one state, with one error and with one receipt, or with
    any. personal: with their texts."""

    part: int
    mailing_id: int
    first: int
    last: int
    status: MessageState | None = None
    error: str | None = None
    receipt: ReceiptState | None = None
    personal: bool = False


def read_lines(connection: Connection, stretch: Stretch, style: Style, after: int, limit: int) -> Lines:
    """Those of a mailing whose ids follow `after`, in their order; `limit` rows of the part are looked at."""
    page = {**style._asdict(), "after": max(after, stretch.first - 1), "limit": limit}
    statement = _OF_PERSONAL if stretch.personal else _OF_MAILING
    return _lines(connection.execute(statement, {**stretch._asdict(), **page}).one(), limit)


def parts_of_history(connection: Connection) -> Sequence[int]:
    """Those in which a client may have messages, the latest first."""
    return connection.scalars(_PARTS).all()


def history_lines(
    connection: Connection, client_id: int, before: tuple[int, int], style: Style, limit: int, *, is_test: bool = False
) -> Lines:
    """A client's, of a part and of mailings before one of them, the latest first. before: part, mailing. is_test: those
    of tests, and no other ones."""
    part, mailing_id = before
    place = {"part": part, "client_id": client_id, "mailing_id": mailing_id, "test": is_test}
    page = {**style._asdict(), **place, "limit": limit}
    return _lines(connection.execute(_OF_CLIENT, page).one(), limit)


def _lines(row: AnyRow, limit: int) -> Lines:
    return Lines(row.lines, row.last if row.seen == limit else None)


_PARTS = text("select number from parts order by number desc")


def _page(
    rows: str, key: str, last: str, order: str, condition: str = "true", *, columns: Mapping[str, Column] = COLUMNS
) -> str:
    """rows: in the order of an index, which so is the only way to read them. Only what failed is looked up among the
    attempts, and what is final among the receipts."""
    return f"""
        with rows as materialized ({rows})
        select (select string_agg(line, :between) from (
                    select {as_line(columns)} as line from rows m
                    left join lateral (
                        select words from attempts
                        where m.error is not null and part = :part and message_id = m.id order by number desc limit 1
                    ) a on true
                    left join lateral (
                        select state, at, reason from receipts
                        where m.due_at is null and part = :part and message_id = m.id limit 1
                    ) receipts on true
                    {as_rows(columns, _WHOLE)}
                    where {condition} order by m.{key} {order}
               ) page) as lines,
               {last}({key}) as last, count(*) as seen
        from rows
    """


_MAILING = ("""
    select * from messages where part = :part and id > :after and id <= :last order by id limit :limit
""", "id", "max", "asc", """
    m.mailing_id = :mailing_id and (cast(:status as text) is null or cast(m.status as text) = :status)
    and (cast(:error as text) is null or m.error = :error and m.status <> 'sent')
    and (cast(:receipt as text) is null or cast(receipts.state as text) = :receipt)
""")  # fmt: skip
_OF_MAILING = text(_page(*_MAILING))
_OF_PERSONAL = text(_page(*_MAILING, columns=PERSONAL))

_OF_CLIENT = text(_page("""
    select * from messages where part = :part and client_id = :client_id and mailing_id < :mailing_id
    order by mailing_id desc limit :limit
""", "mailing_id", "min", "desc", of_kind("m.mailing_id")))  # fmt: skip
