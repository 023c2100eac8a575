"""Which providers may take a message: by the settings at its launch, by a call that one may have taken, and anew."""

from collections.abc import Sequence
from datetime import timedelta

from shared import lanes
from shared.domain.lanes import ANY, FIRST_OF_SEVERAL, Entry
from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish, Retry
from shared.messages.claim import Assigned, Claimed, claim_messages
from shared.messages.create import create_messages
from shared.messages.probe import find_probe
from shared.messages.reroute import Rerouted, find_unrouted, reroute_messages
from tests.support.books import LEASE, SECOND, Books

EAST, WEST = 1, 2
BOTH = (Entry("east"), Entry("west"))


def register(books: Books, *entries: Entry) -> None:
    with books.engine.begin() as connection:
        lanes.register(connection, entries)


def claim(
    books: Books, mailing_id: int, ids: Sequence[int], provider: int, lane: int = ANY, lease: timedelta = LEASE
) -> list[Claimed]:
    assigned = dict.fromkeys(ids, Assigned(lane, provider))
    found = books.move(claim_messages, {mailing_id: ids}, lease=lease, assigned=assigned)
    return list(found.messages) if found else []


def place(books: Books, mailing_id: int) -> list[tuple[int, int | None]]:
    """The lane and the provider of each message."""
    return [tuple(row) for row in books.run(
        "select lane, provider from messages where mailing_id = :id order by id", id=mailing_id)]  # fmt: skip


def reroute(books: Books) -> int:
    """All that is to be routed anew, a hundred ids at a time; how many messages were written."""
    before = _versions(books)
    while found := _find(books):
        done: Rerouted | None = None
        while done is None or not done.complete:
            done = books.move(reroute_messages, found[0], 100, done)
    return len(_versions(books) - before)


def _versions(books: Books) -> set[tuple[int, int]]:
    """Of messages: by which transaction each was written."""
    return {(row.id, row.xmin) for row in books.run("select id, xmin::text::bigint as xmin from messages")}


def _find(books: Books) -> list[int]:
    with books.engine.begin() as connection:
        return find_unrouted(connection, 10)


def test_a_launch_puts_everybody_into_the_lane_of_those_that_may_take_it(books: Books) -> None:
    register(books, Entry("east", operator_codes=("916",)), Entry("west", senders=("Shop",)))
    books.clients(1, operator_code="916")
    books.clients(1, operator_code="925")
    usual, by_name, by_sender = books.mailing(), books.mailing(), books.mailing()
    books.run("update mailings set provider = 'west' where id = :id", id=by_name)
    books.run("update mailings set sender = 'Shop' where id = :id", id=by_sender)
    for mailing_id in (usual, by_name, by_sender):
        books.launch(mailing_id)
    assert place(books, usual) == [(EAST, None), (ANY, None)]
    assert place(books, by_name) == [(WEST, None)] * 2
    assert place(books, by_sender) == [(WEST, None)] * 2


def test_with_one_provider_nothing_is_written_of_it(books: Books) -> None:
    register(books, Entry("seed", operator_codes=("900",)))
    mailing_id, ids = books.launched(2)
    claimed = books.claim(mailing_id, ids)
    books.record(Retry(SECOND), claimed, Error.TIMED_OUT)
    assert place(books, mailing_id) == [(ANY, None)] * 2
    assert [row.number for row in books.run("select number from lanes")] == [ANY]


def test_what_one_may_have_taken_no_other_gets(books: Books) -> None:
    register(books, *BOTH)
    mailing_id, ids = books.launched(2)
    claimed = claim(books, mailing_id, ids, WEST)
    assert [message.provider for message in claimed] == [WEST] * 2
    books.record(Retry(timedelta(0)), claimed[:1], Error.TIMED_OUT)
    books.record(Retry(timedelta(0)), claimed[1:], Error.SERVER_ERROR)
    assert place(books, mailing_id) == [(WEST, WEST), (ANY, WEST)]
    assert claim(books, mailing_id, ids[:1], EAST) == []
    assert claim(books, mailing_id, ids[:1], EAST, lane=WEST) == []
    assert [message.repeat for message in claim(books, mailing_id, ids[:1], WEST, lane=WEST)] == [True]
    assert [message.provider for message in claim(books, mailing_id, ids[1:], EAST)] == [EAST]


def test_a_dispatcher_that_died_with_it_is_taken_for_a_call_that_its_provider_has_taken(books: Books) -> None:
    register(books, *BOTH)
    mailing_id, ids = books.launched(1)
    claim(books, mailing_id, ids, WEST, lease=timedelta(0))
    assert books.rescue(10, 100) == 1
    assert place(books, mailing_id) == [(WEST, WEST)]
    assert claim(books, mailing_id, ids, EAST) == []


def test_what_was_called_before_there_were_several_belongs_to_the_first(books: Books) -> None:
    """Nobody gets it before it is in that one's lane, and then that one alone."""
    register(books, BOTH[0])
    mailing_id, ids = books.launched(2)
    claimed = books.claim(mailing_id, ids)
    books.record(Retry(timedelta(0)), claimed[:1], Error.TIMED_OUT)
    books.record(Retry(timedelta(0)), claimed[1:], Error.SERVER_ERROR)
    register(books, *BOTH)
    assert claim(books, mailing_id, ids[:1], WEST) == []
    assert reroute(books) == 1
    assert place(books, mailing_id) == [(EAST, None), (ANY, None)]
    assert claim(books, mailing_id, ids[:1], WEST, lane=EAST) == []
    assert len(claim(books, mailing_id, ids[:1], EAST, lane=EAST)) == 1


def test_what_waits_follows_another_routing_and_what_is_bound_stays(books: Books) -> None:
    register(books, *BOTH)
    books.clients(300, operator_code="916")
    books.clients(300, operator_code="925")
    mailing_id = books.mailing()
    books.launch(mailing_id)
    ids = books.ids(mailing_id)
    books.record(Retry(SECOND), claim(books, mailing_id, ids[:2], WEST), Error.TIMED_OUT)
    held = claim(books, mailing_id, ids[2:4], EAST)
    register(books, Entry("east", operator_codes=("916", "925")), Entry("west", operator_codes=("925",)))
    assert reroute(books) == 598
    assert place(books, mailing_id)[:4] == [(WEST, WEST)] * 2 + [(EAST, EAST)] * 2
    assert place(books, mailing_id)[-1] == (FIRST_OF_SEVERAL, None)
    assert reroute(books) == 0
    books.record(Finish(MessageState.SENT), held)
    register(books, BOTH[0])
    reroute(books)
    assert place(books, mailing_id)[:2] == [(WEST, WEST)] * 2  # it waits until that one is back, or for its end
    assert {lane for lane, _ in place(books, mailing_id)[4:]} == {ANY}
    assert claim(books, mailing_id, ids[:1], EAST, lane=WEST) == []


def test_a_launch_that_has_found_nobody_yet_is_routed_at_once(books: Books) -> None:
    """Else it would be looked at once a second until it has."""
    register(books, BOTH[0])
    books.clients(3)
    mailing_id = books.mailing(tags=["nobody"])
    books.move(create_messages, mailing_id, 1)
    register(books, Entry("east", operator_codes=("916",)), Entry("west"))
    assert _find(books) == [mailing_id]
    assert reroute(books) == 0
    assert _find(books) == []


def test_a_probe_is_looked_for_where_the_provider_may_have_it(books: Books) -> None:
    register(books, *BOTH)
    mailing_id, ids = books.launched(2)
    books.record(Retry(timedelta(0)), claim(books, mailing_id, ids[:1], WEST), Error.TIMED_OUT)
    with books.engine.begin() as connection:
        found = find_probe(connection, None, [WEST])
        assert found is not None
        assert (found.message_id, found.lane) == (ids[0], WEST)
        assert find_probe(connection, None, [EAST]) is None
        assert find_probe(connection, None, [ANY, EAST]) is not None


def test_numbers_stay_whatever_the_settings_name(books: Books) -> None:
    register(books, *BOTH)
    register(books, Entry("north"), BOTH[1])
    with books.engine.begin() as connection:
        known = lanes.read(connection)
    assert {one.name: (one.number, one.is_there) for one in known.providers.values()} == {
        "east": (1, False), "west": (2, True), "north": (3, True),
    }  # fmt: skip
    assert known.lanes == {ANY: (2, 3), 1: (), 2: (2,), 3: (3,)}
