"""Which way leads to a page of a large mailing's messages, whatever the planner knows of the table."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from api_service.tracking import store
from api_service.tracking.in_common import Common, walk_messages
from api_service.web.page import After, Page
from shared.database.models import Mailing
from shared.domain.message import MessageState
from shared.ledger.figures import read_figures
from tests.support.books import Books
from tests.support.plans import planned

MESSAGES = 60_000
FIRST, SECOND = 1, 2
"""The mailings: of the second one a few failed, a few are open, and the others are sent; of the first, nothing is."""

RARE, OPEN, LEASE, IDS = (
    "messages_1_skipped_idx",
    "messages_1_mailing_id_lane_due_at_id_idx",
    "messages_1_due_at_idx",
    "messages_1_pkey",
)


@pytest.fixture(params=["analysed while it was empty", "analysed while it all waited", "never analysed"])
def large(request: pytest.FixtureRequest, books: Books) -> Iterator[Books]:
    books.run("alter table messages_1 set (autovacuum_enabled = off)")
    if request.param == "analysed while it was empty":
        books.run("analyze")
    for mailing_id in (FIRST, SECOND):
        assert books.mailing() == mailing_id
        books.run(
            """insert into messages (part, mailing_id, client_id, status, due_at)
               select 1, :id, n, 'pending', now() from generate_series(1, :count) n order by n""",
            id=mailing_id, count=MESSAGES,
        )  # fmt: skip
    if request.param == "analysed while it all waited":
        books.run("analyze")
    # In the end of the mailing: whoever walks it finds them last.
    last = "mailing_id = 2 and client_id > 60000 -"
    books.run("update messages set status = 'sent', due_at = null where mailing_id = 2")
    books.run(f"update messages set status = 'failed' where {last} 5")
    books.run(f"update messages set status = 'retrying', due_at = now() where {last} 10 and status = 'sent'")
    books.run(f"update messages set status = 'sending', due_at = now() where {last} 15 and status = 'sent'")
    for state in MessageState:
        counted = "select mailing_id, count(*) as number from messages where status = :state group by 1"
        books.run(
            f"""insert into mailing_counters as c (mailing_id, slot, {state}) select mailing_id, 0, number
                from ({counted}) m on conflict (mailing_id, slot) do update set {state} = excluded.{state}""",
            state=state,
        )
    books.run("update mailings set audience = :count", count=MESSAGES)
    books.place()
    names = ["audience", *MessageState]
    books.run(
        f"""insert into ledger_totals (slot, {", ".join(names)})
            select 1, :audience, {", ".join(f"sum({state})" for state in MessageState)} from mailing_counters
            on conflict (slot) do update set {", ".join(f"{name} = excluded.{name}" for name in names)}""",
        audience=2 * MESSAGES,
    )
    books.run("insert into tallies select mailing_id, now(), 0, status, count(*) from messages"
              " where status in ('sent', 'failed') group by 1, 4")  # fmt: skip
    yield books
    books.run("alter table messages_1 reset (autovacuum_enabled)")


WAYS = [
    (SECOND, MessageState.FAILED, RARE, 5),
    (SECOND, MessageState.UNKNOWN, RARE, 0),
    (SECOND, MessageState.RETRYING, OPEN, 5),
    (SECOND, MessageState.PENDING, OPEN, 0),
    (SECOND, MessageState.SENDING, LEASE, 5),
    (SECOND, MessageState.SENT, IDS, 10),
    (SECOND, None, IDS, 10),
    (FIRST, MessageState.PENDING, IDS, 10),  # too many to be sorted
    (FIRST, MessageState.FAILED, RARE, 0),
]


def test_no_page_reads_more_of_a_large_mailing_than_it_needs(large: Books) -> None:
    for mailing_id, state, index, number in WAYS:
        with Session(large.engine) as session:
            figures = read_figures(session.connection(), [mailing_id])[mailing_id]
            with planned(large.engine, "FROM messages") as plan:
                mailing = session.get_one(Mailing, mailing_id)
                listing = store.list_messages(session, mailing, state, figures, Page(1, 10))
                found, total = listing.rows, listing.total or 0
        where = "\n".join([str(mailing_id), str(state), *plan])
        assert len(found) == min(number, total), where
        assert total == (figures.audience if state is None else figures.states[state]), where
        assert [one.id for one in found] == sorted(one.id for one in found), where
        assert all(one.mailing_id == mailing_id and state in (None, one.status) for one in found), where
        used = {name for name in (RARE, OPEN, LEASE, IDS) if any(name in line for line in plan)}
        assert used == ({index} if number else set()), where  # where there is none, nothing is asked
        assert not [line for line in plan if "Seq Scan" in line], where
        if index in (RARE, IDS):
            assert not [line for line in plan if "Sort" in line], where


def test_what_no_index_leads_to_is_looked_for_along_the_ids(large: Books) -> None:
    with planned(large.engine, "from messages") as plan, Session(large.engine) as session:
        listing = walk_messages(session, session.get_one(Mailing, FIRST), Common(error="rejected"), After(0, 10))
    assert listing.rows == []
    assert listing.next_id is None
    assert any(IDS in line for line in plan), plan
    assert not [line for line in plan if "Seq Scan" in line], plan
