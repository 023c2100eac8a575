"""The live progress of a mailing: one line that is written anew in a terminal, else a line every second."""

import shutil
import threading
from collections import deque
from collections.abc import Mapping
from typing import TextIO

from shared.domain.message import FINAL_STATES, OPEN_STATES, MessageState

_RATE_OVER = 2.0  # seconds

_CLEAR = "\r\033[K"
_ALWAYS_SHOWN = OPEN_STATES | {MessageState.SENT}


class Progress:
    """`show` and `note` may be called by several threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._line = ""  # what stands in the terminal's last line
        self._written = -1  # the second of the last line elsewhere
        self._finals: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def show(self, seconds: float, counts: Mapping[MessageState, int]) -> None:
        """seconds: since the start; they ascend. counts: messages by state."""
        rate = self._rate(seconds, sum(counts[state] for state in FINAL_STATES))
        shown = (state for state in MessageState if state in _ALWAYS_SHOWN or counts[state])
        parts = "  ".join(f"{state} {number(counts[state])}" for state in shown)
        line = f"{seconds:4.0f} s  {parts}  {number(round(rate))}/s"
        with self._lock:
            if self._live:
                self._line = line[: shutil.get_terminal_size().columns - 1]
                self._stream.write(_CLEAR + self._line)
            elif int(seconds) > self._written:
                self._written = int(seconds)
                self._stream.write(line + "\n")
            self._stream.flush()

    def note(self, sentence: str) -> None:
        """A line of its own; the live one stays below it."""
        with self._lock:
            if self._line:
                self._stream.write(f"{_CLEAR}{sentence}\n{self._line}")
            else:
                self._stream.write(f"{sentence}\n")
            self._stream.flush()

    def end(self) -> None:
        """The live line stays as it is; what is written next comes below it."""
        with self._lock:
            if self._line:
                self._line = ""
                self._stream.write("\n")
                self._stream.flush()

    def _rate(self, seconds: float, finals: int) -> float:
        """Messages that reached a final state, per second."""
        self._finals.append((seconds, finals))
        while len(self._finals) > 2 and seconds - self._finals[1][0] >= _RATE_OVER:
            self._finals.popleft()
        since, before = self._finals[0]
        return (finals - before) / (seconds - since) if seconds > since else 0.0


def number(value: int) -> str:
    """As people read it: `12 500`."""
    return f"{value:,}".replace(",", " ")
