"""The table of an older version becomes the first part, and its mailings go on."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from shared.database.parts import make_part
from shared.messages.find import find_message, read_history
from tests.support.books import SENT, Books
from tests.support.older_schema import before_parts, upgrade
from tests.support.waiting import wait_until


@pytest.fixture
def old(postgres: str) -> Iterator[Engine]:
    """A database as the version before parts left it, with nothing in it."""
    with before_parts(postgres) as engine:
        yield engine


RUNNING, FINISHED, LAUNCHING = 1, 2, 3
_BEFORE = """
    insert into clients (phone, operator_code, timezone)
    select 79000000000 + n, '900', 'Europe/Moscow' from generate_series(1, 7) n;
    insert into mailings (text, starts_at, ends_at, audience, audience_limit, audience_cursor, launched_at, finished_at)
    values ('1', now(), now() + interval '1 h', 7, 7, 7, now(), null),
           ('2', now(), now() + interval '1 h', 2, 7, 7, now(), now()),
           ('3', now(), now() + interval '1 h', 2, 7, 2, null, null);
    insert into messages (mailing_id, client_id, status, due_at, claim_id, attempts, error, maybe_delivered) values
        (1, 1, 'sent', null, null, 1, null, false), (1, 2, 'failed', null, null, 2, 'rejected', false),
        (1, 3, 'pending', now(), null, 0, null, false), (1, 4, 'queued', now(), null, 0, null, false),
        (1, 5, 'retrying', now(), null, 1, 'timed_out', true), (1, 6, 'sending', now(), 1, 0, null, false),
        (1, 7, 'pending', now(), null, 0, null, false),
        (2, 1, 'sent', null, null, 1, null, false), (2, 2, 'sent', null, null, 1, null, false),
        (3, 1, 'pending', now(), null, 0, null, false), (3, 2, 'pending', now(), null, 0, null, false);
    delete from clients where id = 7;
    insert into mailing_counters (mailing_id, slot, pending, queued, sending, retrying, sent, failed, due_at) values
        (1, 0, 2, 1, 1, 1, 1, 1, now()), (2, -1, 0, 0, 0, 0, 2, 0, null), (3, 0, 2, 0, 0, 0, 0, 0, now());
    insert into ledger_totals (slot, mailings, audience, pending, queued, sending, retrying, sent, failed)
    values (1, 3, 11, 4, 1, 1, 1, 3, 1);
    insert into tallies (mailing_id, quarter, slot, name, count) values
        (1, now(), 0, 'sent', 1), (1, now(), 0, 'failed', 1), (2, now(), 0, 'sent', 2);
"""


def test_what_ran_before_goes_on_and_is_sent_after(old: Engine) -> None:
    books = Books(old)
    books.run(_BEFORE)
    [(file,)] = books.run("select pg_relation_filenode('messages')")

    upgrade(old)

    assert books.run("select pg_relation_filenode('messages_1')") == [(file,)], "the rows are where they were"
    rows = books.run("select id, phone - 79000000000, calls, part, lane from messages where mailing_id = 1 order by id")
    assert [tuple(row) for row in rows] == [
        (1, None, 0, 1, 0), (2, None, 0, 1, 0),  # final: nobody knows any more where they went
        (3, 3, 0, 1, 0), (4, 4, 0, 1, 0), (5, 5, 1, 1, 0), (6, 6, 0, 1, 0), (7, None, 0, 1, 0),
    ]  # fmt: skip
    rows = books.run("select part, first_message_id, last_message_id from mailings order by id")
    assert [tuple(row) for row in rows] == [(1, 1, 7), (1, 8, 9), (1, 10, 11)]
    books.check()

    assert books.rescue(10, 10) == 1
    assert sorted(books.due(RUNNING)) == [3, 4, 5, 6, 7]
    claimed = books.claim(RUNNING, [3, 4, 5, 6, 7])  # the last one has lost its client
    assert [one.phone - 79000000000 for one in claimed] == [3, 4, 5, 6]
    assert books.record(SENT, claimed) == 0
    assert books.states(RUNNING) == {"sent": 5, "failed": 1, "cancelled": 1}
    books.launch(LAUNCHING)
    assert sorted(books.due(LAUNCHING)) == [10, 11, 12, 13, 14, 15], "the ids go on"
    assert books.record(SENT, books.claim(LAUNCHING, range(10, 16))) == 0
    assert books.finish([RUNNING, LAUNCHING]) == [RUNNING, LAUNCHING]
    books.check()


def test_later_parts_stand_beside_it(old: Engine) -> None:
    """Its columns are in another order than those of what is made later."""
    books = Books(old)
    books.run(_BEFORE)
    upgrade(old)
    with old.begin() as connection:
        assert make_part(connection) == 2
        connection.execute(text("update parts set closed_at = now() where number = 1"))
    mailing_id = books.mailing()
    books.launch(mailing_id)
    ids = books.due(mailing_id)
    assert books.record(SENT, books.claim(mailing_id, ids)) == 0
    rows = books.run("select distinct part, calls, attempts, lane from messages where mailing_id = :id", id=mailing_id)
    assert [tuple(row) for row in rows] == [(2, 1, 1, 0)]
    with old.connect() as connection:
        assert [row.mailing_id for row in read_history(connection, 1, 10)] == [mailing_id, 3, 2, 1]
        places = [find_message(connection, message_id) for message_id in (1, ids[0])]
        assert [row and (row.part, row.status) for row in places] == [(1, "sent"), (2, "sent")]


@pytest.mark.parametrize("made", ["nothing", "columns", "an index that nobody may use", "all but the last step"])
def test_who_was_stopped_in_the_middle_begins_again(old: Engine, made: str) -> None:
    books = Books(old)
    books.run(_BEFORE)
    columns = """
        alter table messages add column part integer not null default 1, add column lane smallint not null default 0,
        add column phone bigint, add column calls smallint not null default 0;
    """
    index = "create unique index messages_1_client_id_mailing_id_key on messages (client_id, mailing_id);"
    check = "alter table messages add constraint messages_1_part_check check (part = 1) not valid;"
    invalid = "update pg_index set indisvalid = false where indexrelid::regclass::text like '%client_id_mailing_id_key'"
    steps = {
        "nothing": "select 1",
        "columns": columns,
        "an index that nobody may use": columns + index + invalid,
        "all but the last step": columns + index + check,
    }
    books.run(steps[made].replace("::", "\\:\\:"))
    upgrade(old)
    books.check()
    [(invalid,)] = books.run("select count(*) from pg_index where not indisvalid")
    assert invalid == 0
    assert books.run("select count(*) from messages where part = 1") == [(11,)]
    assert sorted(books.due(RUNNING)) == [3, 4, 5, 7]


def test_what_is_launched_while_it_begins_is_not_taken_for_nothing(old: Engine) -> None:
    """By a process that was forgotten when all were stopped."""
    books = Books(old)
    upgrading = threading.Thread(target=upgrade, args=(old,))
    with old.connect() as forgotten:
        forgotten.execute(text("insert into messages (mailing_id, client_id, status) values (1, 1, 'sent')"))
        upgrading.start()
        wait_until(lambda: books.run("select from pg_stat_activity where wait_event_type = 'Lock'"))
        forgotten.commit()
    upgrading.join(60)
    assert [tuple(row) for row in books.run("select mailing_id, part from messages")] == [(1, 1)]
