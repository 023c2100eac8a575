"""What is noted of mailings on their way, by the leader and from counters alone."""

from collections.abc import Sequence

from shared.domain.message import Error
from shared.ledger.moments import note_moments, read_moments
from tests.support.books import FAILED, SENT, Books
from tests.support.leading import Start
from tests.support.waiting import wait_until


def note(books: Books, *, step: int = 10) -> None:
    """After so many seconds."""
    books.run("update mailing_moments set at = at - make_interval(secs => :step)", step=step)
    with books.engine.begin() as connection:
        assert note_moments(connection, 0, 100) is None


def noted(books: Books, mailing_id: int) -> Sequence[tuple[int, int]]:
    with books.engine.connect() as connection:
        return [(one.accepted, one.failed) for one in read_moments(connection, mailing_id)]


def test_a_mailing_is_noted_while_it_moves(books: Books) -> None:
    mailing_id, ids = books.launched(9)
    other, _ = books.launched(3)
    note(books)
    assert noted(books, mailing_id) == []  # nothing has come of it yet
    books.record(SENT, books.claim(mailing_id, ids[:4]))
    note(books)
    note(books)
    books.record(FAILED, books.claim(mailing_id, ids[4:6]), Error.REJECTED)
    note(books, step=9)  # too soon: what it is in a moment stands for it
    note(books, step=1)
    assert noted(books, mailing_id) == [(4, 0), (4, 2)]
    assert noted(books, other) == []


def test_the_longer_it_goes_on_the_more_seldom_it_is_noted(books: Books) -> None:
    mailing_id, ids = books.launched(30)
    for number, step in enumerate((10, 2_000, 29, 1, 90_000, 3_599, 1)):
        books.record(SENT, books.claim(mailing_id, ids[number : number + 1]))
        note(books, step=step)
    assert [accepted for accepted, _ in noted(books, mailing_id)] == [1, 2, 4, 5, 7]


def test_many_mailings_are_noted_a_page_at_a_time(books: Books) -> None:
    mailings = [books.launched(1) for _ in range(3)]
    for mailing_id, ids in mailings:
        books.record(SENT, books.claim(mailing_id, ids[:1]))
    with books.engine.begin() as connection:
        assert note_moments(connection, 0, 2) == mailings[1][0]
        assert note_moments(connection, mailings[1][0], 2) is None
    assert [noted(books, mailing_id) for mailing_id, _ in mailings] == 3 * [[(1, 0)]]


def test_the_leader_notes_them(books: Books, start: Start) -> None:
    mailing_id, ids = books.launched(2)
    books.record(SENT, books.claim(mailing_id, ids[:1]))
    start()
    wait_until(lambda: noted(books, mailing_id) == [(1, 0)])
