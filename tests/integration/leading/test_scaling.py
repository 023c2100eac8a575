"""How many dispatchers there should be: reckoned by the leader, asked for as KEDA asks."""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import psycopg2
import pytest
from prometheus_client import REGISTRY

from deploy.manifests import KUBERNETES, build
from shared.rates.limits import DISPATCH, of_provider
from shared.rates.paces import PaceNote
from tests.support.books import HOUR, MINUTE, Books
from tests.support.leading import Start
from tests.support.waiting import wait_until

SEEN: dict[str, Any] = {
    "open": None, "open_for": 0.0, "pace": None, "limited": False, "speed": 10.0, "calls": 100, "failed": 0,
    "seconds": 10.0, "full": False,
}  # fmt: skip

(SCALED,) = (one["spec"] for one in build(KUBERNETES / "scaling") if one["kind"] == "ScaledObject")


@pytest.fixture
def replicas(books_url: str) -> Iterator[Callable[[], int]]:
    """How many KEDA would have: the figure of its query over the target, within its bounds."""
    metadata = SCALED["triggers"][0]["metadata"]
    with psycopg2.connect(books_url) as connection:
        connection.autocommit = True

        def ask() -> int:
            with connection.cursor() as cursor:
                cursor.execute(metadata["query"])
                [(figure,)] = cursor.fetchall()
            number = ceil(float(figure) / float(metadata["targetQueryValue"]))
            return min(max(number, int(SCALED["minReplicaCount"])), int(SCALED["maxReplicaCount"]))

        yield ask
    connection.close()


class Dispatcher:
    """As far as the database sees it: one that sends ten messages a second."""

    def __init__(self, books: Books) -> None:
        self._books, self._note = books, PaceNote()

    def works(self, pace: float = 10.0, **seen: Any) -> None:
        with self._books.engine.begin() as connection:
            self._note.write(connection, pace, {"gate": {**SEEN, **seen}})  # type: ignore[typeddict-item]


def test_a_mailing_that_would_miss_its_end_asks_for_more(
    books: Books, start: Start, replicas: Callable[[], int]
) -> None:
    """3 000 messages in a minute and a half, by one that sends ten a second: it would take it five minutes."""
    assert replicas() == 2, "nobody has reckoned yet"
    dispatcher = Dispatcher(books)
    mailing_id, _ = books.launched(3_000, ends=1.5 * MINUTE)
    start()

    def asked() -> int:
        dispatcher.works()
        return replicas()

    wait_until(lambda: asked() >= 5)  # with what is kept for what goes wrong; more, where this has taken a while
    books.run("update mailings set ends_at = now() + interval '1 day' where id = :id", id=mailing_id)
    wait_until(lambda: asked() == 2)


@pytest.mark.parametrize("why", ["the provider takes no more", "its limit", "a limit of our own", "paused", "a test"])
def test_where_more_change_nothing_there_are_no_more(
    books: Books, start: Start, replicas: Callable[[], int], why: str
) -> None:
    dispatcher = Dispatcher(books)
    books.launched(3_000, ends=1.5 * MINUTE, test=why == "a test")
    if why == "paused":
        books.run("update mailings set paused_at = now()")
    if limit := {"a limit of our own": DISPATCH, "its limit": of_provider("gate")}.get(why):
        books.run("insert into limits (name, next_at) values (:name, now() + interval '1 hour')", name=limit)
    start()

    def is_reckoned() -> bool:
        dispatcher.works(limited=why == "the provider takes no more")
        return bool(books.run("select from scaling where reckoned_at > now() - interval '1 minute'"))

    wait_until(is_reckoned)
    assert replicas() == 2


def test_who_waits_for_longest_is_told_by_class(books: Books, start: Start) -> None:
    for priority, minutes in (("urgent", 5), ("bulk", 30)):
        mailing_id, _ = books.launched(3)
        books.run("update mailings set priority = :priority where id = :id", priority=priority, id=mailing_id)
        books.run(
            "update messages set due_at = now() - make_interval(mins => :minutes) where mailing_id = :id",
            minutes=minutes, id=mailing_id,
        )  # fmt: skip
    start()

    def seconds(priority: str) -> float | None:
        return REGISTRY.get_sample_value("feeder_oldest_due_seconds", {"priority": priority})

    wait_until(lambda: (seconds("bulk") or 0) >= 30 * 60)
    assert 5 * 60 <= (seconds("urgent") or 0) < 30 * 60
    assert seconds("normal") == 0


def test_what_nobody_reckons_any_more_does_not_count(books: Books, replicas: Callable[[], int]) -> None:
    books.run("insert into scaling (id, wanted, oldest_due) values (1, 7, 0)")
    assert replicas() == 7
    books.run("update scaling set reckoned_at = now() - interval '3 minutes'")
    assert replicas() == 2


def test_who_waits_for_their_hours_needs_nobody_yet(books: Books, start: Start, replicas: Callable[[], int]) -> None:
    now = books.now()
    books.clients(3_000, timezone="UTC")
    window = (f"{now + 4 * HOUR:%H:00}", f"{now + 5 * HOUR:%H:00}")
    books.launch(books.mailing(ends=6 * HOUR, window=window), 5_000)
    dispatcher = Dispatcher(books)
    start()

    def is_reckoned() -> bool:
        dispatcher.works(pace=0.1)
        return bool(books.run("select from scaling"))

    wait_until(is_reckoned)
    assert books.run("select wanted, oldest_due from scaling") == [(2, 0.0)]
