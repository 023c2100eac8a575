"""Progress: one line that is written anew in a terminal, a line every second elsewhere."""

from io import StringIO

import pytest

from sandbox.progress import Progress, number
from shared.domain.message import MessageState

S = MessageState


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """What stands in the terminal: a line that is written anew replaces itself."""
        return [line.rpartition("\r\033[K")[2] for line in self.getvalue().split("\n")]


def counts(**some: int) -> dict[MessageState, int]:
    return {state: some.get(state, 0) for state in MessageState}


def test_elsewhere_it_is_a_line_every_second() -> None:
    stream = StringIO()
    progress = Progress(stream)
    for tenth in range(25):
        progress.show(tenth / 10, counts(sent=tenth))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["0", "1", "2"]


def test_in_a_terminal_it_is_one_line_and_notes_stand_above_it() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.show(0, counts(pending=9))
    progress.note("The provider goes away.")
    progress.show(1, counts(sent=9))
    progress.end()
    progress.note("Done.")
    above, live, after, end = stream.lines
    assert (above, after, end) == ("The provider goes away.", "Done.", "")
    assert "sent 9" in live
    assert "pending 9" not in live


def test_it_never_wraps_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress = Progress(stream)
    progress.show(0, dict.fromkeys(MessageState, 123_456_789))
    assert len(stream.lines[-1]) == 59


def test_final_states_are_shown_only_when_there_is_something_in_them() -> None:
    stream = StringIO()
    progress = Progress(stream)
    progress.show(0, counts(failed=3))
    assert "failed 3" in stream.getvalue()
    assert "sent 0" in stream.getvalue()
    assert "expired" not in stream.getvalue()


def test_the_rate_is_that_of_the_last_seconds() -> None:
    stream = StringIO()
    progress = Progress(stream)
    for second in range(6):
        progress.show(second, counts(sent=1000 * second))
    for second in range(6, 9):
        progress.show(second, counts(sent=5000, failed=10 * (second - 5)))
    rates = [line.split()[-1] for line in stream.getvalue().splitlines()]
    assert rates[1:6] == ["000/s"] * 5  # 1 000/s
    assert rates[8] == "10/s"


def test_numbers_are_grouped() -> None:
    assert [number(value) for value in (0, 999, 1000, 1_234_567)] == ["0", "999", "1 000", "1 234 567"]
