"""What looks for news by itself is made once for all who look within a second."""

from threading import Barrier, Thread

import pytest
from flask import Response

from api_service.console.live import SHARED_FOR, Looks
from shared import clock


class Made:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Response:
        self.times += 1
        return Response(str(self.times), headers={"X-Live": "on"})


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(clock, "ticks", lambda: now[0])
    return now


def test_a_second_look_within_a_second_is_the_first_one(time: list[float]) -> None:
    looks, make = Looks(), Made()
    first, second = looks.at("here", make), looks.at("here", make)
    assert (first.get_data(as_text=True), second.get_data(as_text=True), second.headers["X-Live"]) == ("1", "1", "on")
    first.set_data("spoiled")
    assert looks.at("here", make).get_data(as_text=True) == "1"
    assert looks.at("elsewhere", make).get_data(as_text=True) == "2"
    time[0] += SHARED_FOR
    assert looks.at("here", make).get_data(as_text=True) == "3"


def test_nothing_old_is_kept(time: list[float]) -> None:
    looks = Looks()
    for number in range(50):
        looks.at(number, Made())
        time[0] += SHARED_FOR / 10
    assert len(looks._looks) <= 11


def test_what_could_not_be_made_is_tried_by_the_next(time: list[float]) -> None:
    looks, make = Looks(), Made()

    def fail() -> Response:
        raise LookupError

    with pytest.raises(LookupError):
        looks.at("here", fail)
    assert looks.at("here", make).get_data(as_text=True) == "1"


def test_readers_who_come_at_once_share_one() -> None:
    looks, make, start, seen = Looks(), Made(), Barrier(8), []

    def read() -> None:
        start.wait()
        seen.append(looks.at("here", make).get_data(as_text=True))

    readers = [Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert seen == ["1"] * 8
