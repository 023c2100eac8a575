"""The upgrade of a database with a million messages of a version before parts, on an old server and on the newest."""

import time
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

from shared.database.embedded_programs import MAJOR
from tests.support.books import SENT, Books
from tests.support.lock_waits import READ, longest_wait
from tests.support.older_schema import before_parts, upgrade
from tests.support.postgres_servers import one_server, programs_of

OLD, OF_EACH = 19, 50_000
"""Mailings that are finished, and messages of each; one more to as many runs."""

MOST_LOCKED = 10.0
"""Seconds for which nobody may read messages. On a machine that does nothing else it is half a second, for one index;
copied, a million rows take a minute there and as much longer as they are more."""

_FILL = f"""
    insert into clients (phone, operator_code, timezone)
    select 79000000000 + n, '900', 'Europe/Moscow' from generate_series(1, {OF_EACH}) n;
    insert into mailings (text, starts_at, ends_at, audience, audience_limit, audience_cursor, launched_at, finished_at)
    select 'old', now(), now() + interval '1 h', {OF_EACH}, {OF_EACH}, {OF_EACH}, now(),
           case when n <= {OLD} then now() end
    from generate_series(1, {OLD + 1}) n;
    insert into messages (mailing_id, client_id, status, due_at, claim_id, attempts)
    select g.id, n, status::message_state,
           case when status in ('pending', 'queued', 'sending', 'retrying') then now() end,
           case status when 'sending' then 1 end, case when status in ('sent', 'retrying') then 1 else 0 end
    from mailings g, generate_series(1, {OF_EACH}) n cross join lateral (
        select case when g.finished_at is not null or n % 2 = 0 then 'sent' when n % 3 = 0 then 'queued'
                    when n % 1003 = 0 then 'sending' when n % 5 = 0 then 'retrying' else 'pending' end as status
    ) s order by g.id, n;
    insert into mailing_counters (mailing_id, slot, pending, queued, sending, retrying, sent, due_at)
    select mailing_id, case when mailing_id <= {OLD} then -1 else 0 end,
           count(*) filter (where status = 'pending'), count(*) filter (where status = 'queued'),
           count(*) filter (where status = 'sending'), count(*) filter (where status = 'retrying'),
           count(*) filter (where status = 'sent'), case when mailing_id > {OLD} then now() end
    from messages group by mailing_id;
    insert into ledger_totals (slot, mailings, audience, pending, queued, sending, retrying, sent)
    select 1, count(*), count(*) * {OF_EACH}, sum(pending), sum(queued), sum(sending), sum(retrying), sum(sent)
    from mailing_counters;
    insert into tallies (mailing_id, quarter, slot, name, count)
    select mailing_id, now(), 0, 'sent', sent from mailing_counters
"""


@pytest.mark.parametrize("major", [15, MAJOR])
def test_a_million_messages_are_in_the_first_part_and_none_is_copied(
    major: int, record_property: Callable[[str, object], None]
) -> None:
    with one_server(programs_of(major)) as server, before_parts(server.url()) as engine:
        books = Books(engine)
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(_FILL)
            connection.commit()
        [(file,)] = books.run("select pg_relation_filenode('messages')")
        engine.dispose()

        since = time.monotonic()
        with longest_wait(url, READ, ["messages"]) as waited:
            upgrade(engine)
        said = f"PostgreSQL {major}: {time.monotonic() - since:.1f} s, locked for {waited.seconds:.2f} s"
        record_property("upgrade", said)
        print(said)

        assert waited.seconds < MOST_LOCKED, said
        assert books.run("select pg_relation_filenode('messages_1')") == [(file,)], "the rows are where they were"
        assert books.run("select count(*) from messages where part = 1") == [(OLD * OF_EACH + OF_EACH,)]
        books.check()
        go_on(books, OLD + 1)
        books.check()


def go_on(books: Books, mailing_id: int) -> None:
    """All that the mailing still has goes out."""
    while books.rescue(10, 1_000):
        pass
    while books.due(mailing_id):
        claimed = books.claim(mailing_id, books.due(mailing_id)[:2_000])
        assert books.record(SENT, claimed) == 0
    assert books.states(mailing_id) == {"sent": OF_EACH}
    assert books.finish([mailing_id]) == [mailing_id]
