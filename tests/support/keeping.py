"""What the tests of retention share: parts with mailings that finished long ago, and what is seen of them."""

from collections.abc import Mapping
from typing import Any

from shared.domain.message import Error
from shared.retention.dropping import TABLES
from tests.support.books import FAILED, SENT, Books


def finished(books: Books, count: int, *, days_ago: float, failed: int = 1) -> int:
    """A mailing to so many new clients, all sent but for a few, which finished so long ago; its id."""
    tag = f"of {books.now().timestamp()}"
    books.clients(count, tag=tag)
    mailing_id = books.mailing(tags=[tag])
    books.launch(mailing_id)
    claimed = books.claim(mailing_id, books.due(mailing_id))
    assert books.record(SENT, claimed[failed:]) == 0
    assert books.record(FAILED, claimed[:failed], Error.REJECTED) == 0
    assert books.finish([mailing_id]) == [mailing_id]
    age(books, mailing_id, days_ago)
    return mailing_id


def age(books: Books, mailing_id: int, days: float) -> None:
    """Makes a mailing that is finished so old."""
    books.run(
        "update mailings set finished_at = now() - :days * interval '1 day' where id = :id", id=mailing_id, days=days
    )


def part_of(books: Books, mailing_id: int) -> int:
    return int(books.run("select part from mailings where id = :id", id=mailing_id)[0].part)


def close_part(books: Books, *, days_ago: float) -> int:
    """Closes the part that is launched into, as if that were so long ago; its number."""
    [row] = books.run(
        """update parts set closed_at = now() - :days * interval '1 day', made_at = now() - :days * interval '1 day'
           where number = (select min(number) from parts where closed_at is null) returning number""",
        days=days_ago,
    )
    return int(row.number)


def standing(books: Books) -> dict[str, Any]:
    """The tables of parts that there are, by name: whether each is attached, and not on its way out."""
    rows = books.run(
        """select relname, inhrelid is not null and not inhdetachpending as attached
           from pg_class c left join pg_inherits on inhrelid = c.oid
           where relkind = 'r' and relname ~ :pattern""",
        pattern=f"^({'|'.join(TABLES)})_[0-9]+$",
    )
    return {row.relname: row.attached for row in rows}


def parts(books: Books) -> list[int]:
    return [row.number for row in books.run("select number from parts order by number")]


def tables(*numbers: int) -> Mapping[str, bool]:
    """As `standing` gives them, where these parts are whole and there are no others."""
    return {f"{name}_{number}": True for name in TABLES for number in numbers}
