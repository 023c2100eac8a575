"""Parts: how they are made, which one a launch takes, and how messages are found in them."""

import psycopg2
import pytest
from sqlalchemy import text

from shared.database.parts import TABLES, make_part, table_of
from shared.messages.create import create_messages
from shared.messages.find import find_message, read_history
from shared.messages.parts import open_parts
from tests.support.books import SENT, Books


@pytest.fixture
def books(books: Books) -> Books:
    """With three parts, and nothing else."""
    with books.engine.begin() as connection:
        for number in connection.scalars(text("select number from parts where number > 3")).all():
            for name in TABLES:
                connection.execute(text(f"drop table {table_of(name, number)}"))
        connection.execute(text("delete from parts where number > 3"))
        while connection.scalar(text("select max(number) from parts")) < 3:
            make_part(connection)
    books.run("update parts set closed_at = null")
    return books


def parts_of(books: Books, mailing_id: int) -> set[int]:
    return {row.part for row in books.run("select distinct part from messages where mailing_id = :id", id=mailing_id)}


def in_part(books: Books, number: int) -> None:
    """What is launched from now on goes there."""
    books.run("update parts set closed_at = case when number < :number then now() end", number=number)


def test_a_part_is_a_partition_of_each_table_with_its_keys_and_its_storage(books: Books) -> None:
    with books.engine.begin() as connection:
        assert make_part(connection) == 4
    rows = books.run("""
        select c.relname as name, (select count(*) from pg_index where indrelid = c.oid) as indexes,
               c.reloptions @> '{fillfactor=50}' as roomy
        from pg_class c where relispartition and relname like '%\\_4' and relkind = 'r' order by 1
    """)
    assert [tuple(row) for row in rows] == [
        ("attempts_4", 1, None),
        ("message_references_4", 2, None),
        ("messages_4", 5, True),
        ("receipts_4", 1, False),
    ]
    with pytest.raises(Exception, match="messages_4"):
        books.run("insert into messages (part, mailing_id, client_id, status) values (4, 1, 1, 'pending')")
    with pytest.raises(Exception, match="attempts_words_check"):
        books.run("insert into attempts values (1, now(), 4, 1, 'rejected', repeat('é', 151))")


def test_making_one_waits_for_nobody_who_reads_or_moves_messages(books: Books, books_url: str) -> None:
    """And none of them for it, not even before it is committed."""
    mailing_id, ids = books.launched(2)
    with psycopg2.connect(books_url) as other, other.cursor() as cursor:
        cursor.execute("update messages set due_at = due_at where part = 1")
        cursor.execute("select count(*) from messages")
        with books.engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '200ms'"))
            number = make_part(connection)
            other.commit()
            assert len(books.claim(mailing_id, ids)) == 2
            assert books.launched(1)[1]
        cursor.execute("select count(*) from messages where part = %s", [number])
        assert cursor.fetchone() == (0,)
    other.close()


def test_a_launch_takes_the_first_part_that_is_not_closed_and_stays_in_it(books: Books) -> None:
    books.clients(4)
    first = books.mailing()
    assert books.move(create_messages, first, 2).count == 2
    in_part(books, 3)
    second = books.mailing()
    books.launch(second)
    books.launch(first, 1)
    assert (parts_of(books, first), parts_of(books, second)) == ({1}, {3})
    rows = books.run("select part, first_message_id, last_message_id from mailings order by id")
    assert [tuple(row) for row in rows] == [(1, 1, 8), (3, 3, 6)]
    with books.engine.connect() as connection:
        assert list(open_parts(connection)) == [1, 3]
    assert books.due(first) == [1, 2, 7, 8]
    assert books.record(SENT, books.claim(first, [1, 2, 7, 8])) == 0
    assert books.finish([first, second]) == [first]
    with books.engine.connect() as connection:
        assert list(open_parts(connection)) == [3]


def test_where_no_part_is_open_nothing_is_launched_until_there_is_one(books: Books) -> None:
    books.clients(1)
    mailing_id = books.mailing()
    in_part(books, 4)
    with pytest.raises(Exception, match="part"):
        books.launch(mailing_id)
    with books.engine.begin() as connection:
        assert make_part(connection) == 4
    books.launch(mailing_id)
    assert parts_of(books, mailing_id) == {4}


def test_a_message_is_found_by_its_id_alone(books: Books) -> None:
    """Also where launches went on side by side."""
    books.clients(3)
    first, second = books.mailing(), books.mailing()
    books.move(create_messages, first, 1)
    in_part(books, 2)
    books.launch(second)
    books.launch(first)
    with books.engine.connect() as connection:
        found = [find_message(connection, message_id) for message_id in range(1, 7)]
        assert find_message(connection, 7) is None
    assert [(row.mailing_id, row.part) for row in found if row] == [
        (first, 1), (second, 2), (second, 2), (second, 2), (first, 1), (first, 1)
    ]  # fmt: skip


def test_what_a_client_was_sent_comes_page_by_page_the_latest_first(books: Books) -> None:
    client, other = books.clients(2)
    mailings = []
    for part in (1, 2, 3):
        in_part(books, part)
        for _ in range(3):
            mailings.append(books.mailing())
            books.launch(mailings[-1])
    seen: list[int] = []
    before = None
    with books.engine.connect() as connection:
        while page := read_history(connection, client, 2, before):
            assert {row.client_id for row in page} == {client}
            seen += [row.mailing_id for row in page]
            before = page[-1].part, page[-1].mailing_id
        assert [row.mailing_id for row in read_history(connection, other, 100)] == mailings[::-1]
        assert read_history(connection, other + 1, 100) == []
    assert seen == mailings[::-1]
