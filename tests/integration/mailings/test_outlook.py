"""What is said of a mailing that is under way: from counters, and true."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from shared.domain.message import Error
from shared.domain.retry import Retry
from shared.domain.seen import Seen
from shared.messages.retime import retime_messages
from shared.rates.paces import PaceNote
from tests.support.api import HOUR as AN_HOUR
from tests.support.api import Api, from_now, mailing
from tests.support.books import HOUR, MINUTE, SENT, Books

STEP = 1.0
"""Seconds between two batches of results."""


def closed_now(later: int = 0) -> tuple[str, str]:
    """Hours of UTC that begin in two hours, or later."""
    opening = datetime.now(UTC) + (2 + later) * HOUR
    return f"{opening:%H:%M}", f"{opening + HOUR:%H:%M}"


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def alive(books: Books, pace: float = 10.0) -> None:
    seen = Seen(open=None, open_for=0, pace=None, limited=False, speed=pace, calls=0, failed=0, seconds=0, full=False)
    with books.engine.begin() as connection:
        PaceNote().write(connection, pace, {"seed": seen})


def see(books: Books, **what: object) -> None:
    """That is what every dispatcher sees of the provider now."""
    books.run(
        "update dispatcher_paces"
        " set providers = jsonb_set(providers, '{seed}', (providers -> 'seed') || cast(:what as jsonb))",
        what=json.dumps(what),
    )


def causes(api: Api, mailing_id: int) -> dict[str, int | None]:
    return {one["cause"]: one["count"] for one in api.get(f"/mailings/{mailing_id}/")["waiting_because"]}


class Sender:
    """Sends a mailing at rates that it is told, by a clock of its own: what the counters remember is moved back by as
    much as it moves on."""

    def __init__(self, books: Books, api: Api, messages: int) -> None:
        self._books, self._api = books, api
        self.mailing_id, self._ids = books.launched(messages, ends=timedelta(days=1))
        self.left, self.clock, self._owed = messages, 0.0, 0.0
        alive(books)

    def send(self, rate: float, until: Callable[[], bool]) -> None:
        while self.left and not until():
            self._books.run(
                """update mailing_counters
                   set paced_at = paced_at - :step, first_sent_at = first_sent_at - :step,
                       last_sent_at = last_sent_at - :step""",
                step=timedelta(seconds=STEP),
            )  # fmt: skip
            self.clock += STEP
            self._owed += rate * STEP
            number = min(int(self._owed), self.left)
            self._owed -= number
            if number:
                some, self._ids = self._ids[:number], self._ids[number:]
                assert self._books.record(SENT, self._books.claim(self.mailing_id, some)) == 0
                self.left -= number

    @property
    def says(self) -> float:
        """By its own clock, when it will be done."""
        self._books.run("update dispatcher_paces set noted_at = now()")
        found = self._api.get(f"/mailings/{self.mailing_id}/")
        assert found["finishes_at"] is not None
        assert found["finishes_in_time"] is True
        return self.clock + (datetime.fromisoformat(found["finishes_at"]) - self._books.now()).total_seconds()


@pytest.mark.parametrize("rate", [0.2, 3.0, 60.0])
def test_when_it_is_done_is_known_at_half_way(books: Books, api: Api, rate: float) -> None:
    """Under a steady provider, however slow."""
    total = int(max(40, rate * 40))
    sender = Sender(books, api, total)
    sender.send(rate, lambda: sender.left <= total / 2)
    said = sender.says
    sender.send(rate, lambda: False)
    assert abs(said - sender.clock) <= 0.1 * sender.clock


@pytest.mark.parametrize("rates", [(60.0, 15.0, 30.0), (10.0, 60.0, 20.0)])
def test_when_it_is_done_is_known_when_the_rate_has_changed_twice(
    books: Books, api: Api, rates: tuple[float, float, float]
) -> None:
    total = 1200
    sender = Sender(books, api, total)
    for rate, part in zip(rates, (1 / 6, 1 / 3, 1 / 2), strict=True):
        sender.send(rate, lambda part=part: sender.left <= total * (1 - part))  # type: ignore[misc]
    said = sender.says
    sender.send(rates[-1], lambda: False)
    assert abs(said - sender.clock) <= 0.2 * sender.clock


def test_a_pause_says_nothing_of_the_pace(books: Books, api: Api) -> None:
    sender = Sender(books, api, 400)
    sender.send(10.0, lambda: sender.left <= 200)
    books.run("update mailing_counters set paced_at = paced_at - interval '10 min'")
    assert api.get(f"/mailings/{sender.mailing_id}/")["finishes_at"] is None  # nothing goes out
    sender.send(10.0, lambda: sender.left <= 150)
    said = sender.says
    sender.send(10.0, lambda: False)
    assert abs(said - sender.clock) <= 0.1 * sender.clock


def test_what_waits_for_the_window_is_said_with_its_hour(books: Books, api: Api) -> None:
    window = closed_now()
    books.clients(3, timezone="UTC")
    mailing_id = books.mailing(ends=9 * HOUR, window=window)
    books.launch(mailing_id)
    alive(books)
    (cause,) = api.get(f"/mailings/{mailing_id}/")["waiting_because"]
    assert (cause["cause"], cause["count"]) == ("window", 3)
    opens_at = datetime.fromisoformat(cause["until"])
    assert f"{opens_at:%H:%M}" == window[0]
    rows = books.run("select due_at from messages")
    assert {row.due_at for row in rows} == {opens_at}


def test_a_window_that_has_closed_meanwhile_puts_off_what_is_due(books: Books, api: Api) -> None:
    books.clients(4, timezone="UTC")
    mailing_id = books.mailing(ends=9 * HOUR)
    books.launch(mailing_id)
    alive(books)
    assert causes(api, mailing_id) == {"pace": 4}
    start, end = closed_now()
    books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    assert books.claim(mailing_id, books.ids(mailing_id)) == []
    assert causes(api, mailing_id) == {"window": 4}


def test_a_window_that_is_changed_changes_what_waits_for_it(books: Books, api: Api) -> None:
    books.clients(3, timezone="UTC")
    mailing_id = books.mailing(ends=9 * HOUR, window=closed_now())
    books.launch(mailing_id)
    alive(books)
    later = closed_now(1)
    books.run("update mailings set window_from = :start, window_until = :end", start=later[0], end=later[1])
    assert books.move(retime_messages, mailing_id, 2).number == 2
    before = {one["until"]: one["count"] for one in api.get(f"/mailings/{mailing_id}/")["waiting_because"]}
    assert sorted(before.values()) == [1, 2]
    while not books.move(retime_messages, mailing_id, 100).complete:
        pass
    (cause,) = api.get(f"/mailings/{mailing_id}/")["waiting_because"]
    assert (cause["count"], f"{datetime.fromisoformat(cause['until']):%H:%M}") == (3, later[0])
    books.run("update mailings set window_from = null, window_until = null")
    books.move(retime_messages, mailing_id, 100)
    assert causes(api, mailing_id) == {"pace": 3}
    assert books.run("select coalesce(sum(messages), 0) from mailing_openings where opens_at > now()")[0][0] == 0


def test_a_client_who_moves_waits_for_the_hour_of_their_new_zone(books: Books, api: Api) -> None:
    (client,) = books.clients(1, timezone="UTC")
    mailing_id = books.mailing(ends=9 * HOUR, window=closed_now())
    books.launch(mailing_id)
    assert causes(api, mailing_id) == {"window": 1}
    assert api("PATCH", f"/clients/{client}/", {"timezone": "Asia/Kathmandu"}).status == 200
    (cause,) = api.get(f"/mailings/{mailing_id}/")["waiting_because"]
    assert datetime.fromisoformat(cause["until"]) == books.run("select due_at from messages")[0][0]


def test_retries_are_said_with_the_last_of_their_rungs(books: Books, api: Api) -> None:
    mailing_id, ids = books.launched(3)
    alive(books)
    for message_id, delay in zip(ids[:2], (MINUTE, HOUR / 2), strict=True):
        books.record(Retry(delay), books.claim(mailing_id, [message_id]), Error.SERVER_ERROR)
    found = {one["cause"]: one for one in api.get(f"/mailings/{mailing_id}/")["waiting_because"]}
    assert {cause: one["count"] for cause, one in found.items()} == {"retry": 2, "pace": 1}
    last = books.run("select max(due_at) from messages where status = 'retrying'")[0][0]
    assert datetime.fromisoformat(found["retry"]["until"]) == last


def test_what_holds_up_those_that_are_due(books: Books, api: Api) -> None:
    mailing_id, _ = books.launched(3)
    assert causes(api, mailing_id) == {"no_dispatcher": 3}
    alive(books, 0.0)
    assert causes(api, mailing_id) == {"pace": 3}
    books.run("insert into limits (name, next_at) values ('dispatch', now() + interval '10 s')")
    assert causes(api, mailing_id) == {"rate": 3}
    books.run("update limits set next_at = now() - interval '10 s'")
    see(books, limited=True)
    assert causes(api, mailing_id) == {"provider_limited": 3}
    see(books, open="timed_out")
    assert causes(api, mailing_id) == {"provider_down": 3}
    books.run(
        "insert into mailing_standings (mailing_id, held_until) values (:id, now() + interval '1 h')", id=mailing_id
    )
    assert causes(api, mailing_id) == {"held": 3}
    assert api("POST", f"/mailings/{mailing_id}/pause/").status == 200
    assert causes(api, mailing_id) == {"paused": 3}
    assert api("POST", f"/mailings/{mailing_id}/cancel/").status == 200
    assert causes(api, mailing_id) == {}
    books.run("update messages set status = 'cancelled', due_at = null")
    books.run("update mailing_counters set cancelled = pending, pending = 0")
    books.run("update ledger_totals set cancelled = pending, pending = 0")
    books.run(
        "insert into tallies (mailing_id, quarter, slot, name, count) values (:id, now(), 1, 'cancelled', 3)",
        id=mailing_id,
    )


@pytest.fixture
def statements(books: Books) -> Iterator[list[str]]:
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(books.engine, "before_cursor_execute", see)
    yield seen
    event.remove(books.engine, "before_cursor_execute", see)


def test_a_page_costs_a_few_statements_however_many_mailings_it_has(
    books: Books, api: Api, statements: list[str]
) -> None:
    mailing_id, ids = books.launched(1)
    books.record(Retry(MINUTE), books.claim(mailing_id, ids), Error.SERVER_ERROR)
    statements.clear()
    api.get("/mailings/")
    one = len(statements)
    for _ in range(5):
        another = books.mailing()
        books.launch(another)
        books.record(Retry(MINUTE), books.claim(another, books.ids(another)), Error.SERVER_ERROR)
        api.make("/mailings/", mailing(starts_at=from_now(AN_HOUR)))
    statements.clear()
    assert len(api.get("/mailings/?page_size=100")) == 11
    assert len(statements) == one
    assert not any("from messages" in each and "limit 1" not in each for each in statements)
