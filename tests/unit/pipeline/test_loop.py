"""Connect, serve, back off, stop."""

from collections.abc import Callable, Iterator

import pytest

from shared.loop import keep_serving


class Gone(Exception):
    pass


class Work:
    """Each turn of `turns` is one connection: whether it was good before it is lost; no turns left: all is done."""

    def __init__(self, *turns: bool) -> None:
        self._turns: Iterator[bool] = iter(turns)
        self.pauses: list[float] = []
        self.told: list[float] = []
        self.is_done = False

    def serve(self, all_is_well: Callable[[], None]) -> None:
        for was_good in self._turns:
            if was_good:
                all_is_well()
            raise Gone
        self.is_done = True

    def run(self) -> None:
        keep_serving(
            self.serve,
            Gone,
            lambda _, pause: self.told.append(pause),
            is_over=lambda: self.is_done,
            wait=self.pauses.append,
        )


def test_pauses_grow_while_nothing_can_be_reached() -> None:
    work = Work(*[False] * 4)
    work.run()
    assert work.is_done
    assert work.told == work.pauses
    assert all(0.05 * 2**n <= pause <= 0.1 * 2**n for n, pause in enumerate(work.pauses))
    assert len(work.pauses) == 4


def test_after_a_good_connection_the_next_pause_is_short_again() -> None:
    work = Work(False, False, False, True)
    work.run()
    assert work.pauses[-1] <= 0.1 < work.pauses[-2]


def test_what_is_over_does_not_begin() -> None:
    work = Work(False)
    work.is_done = True
    work.run()
    assert work.pauses == []


def test_a_defect_is_no_loss() -> None:
    def broken(_: Callable[[], None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keep_serving(broken, Gone, lambda *_: None, is_over=lambda: False, wait=lambda _: None)
