"""The lines of a text, which can be looked at before they are taken.

They are counted as an editor counts them; CR, LF and both together end one. Memory does not depend on the length of a
text, or of a line.
"""

import re
from collections.abc import Iterable, Iterator

MAX_LINE = 8 * 1024
"""Characters of a line, and of a cell in quotes."""

_ENDS = re.compile(r"[\r\n]*+")
_ANY_END = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class Lines:
    """The lines of a text, which can be looked at before they are taken."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._blocks = _blocks(pieces)
        self._text = ""  # whole lines
        self._at = 0  # where the next one begins
        self._ahead: list[str] = []  # those that have been looked at
        self._end = 0  # of these
        self.number = 1
        """Of the next line."""
        self.allowance = 16 * MAX_LINE
        """Characters that may be looked at in vain, where quotes are not closed: else a file of nothing but such quotes
        would take far longer than its length says."""

    def allow(self, characters: int) -> None:
        self.allowance += characters

    def look(self, place: int = 0) -> str | None:
        """The next line but so many, with its end. None: the file is over."""
        while len(self._ahead) <= place:
            if self._end == len(self._text) and not self._read():
                return None
            line = _LINE.match(self._text, self._end)[0]  # type: ignore[index]  # it matches nothing, too
            self._ahead.append(line)
            self._end += len(line)
        return self._ahead[place]

    def skip(self, count: int = 1) -> None:
        """Takes lines that have been looked at."""
        self._at += sum(map(len, self._ahead[:count]))
        del self._ahead[:count]
        self.number += count

    def at_hand(self, count: int) -> list[str]:
        """The next lines, no more than so many, as far as they have come already; without their ends."""
        return _ANY_END.split(self._text[self._at : self._at + count * MAX_LINE], count)[:count]

    def skip_empty(self) -> None:
        """Takes empty lines, by the million at no cost."""
        while self._at < len(self._text) or self._read():
            end = _ENDS.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
            self.number += len(self._text[self._at : end].replace("\r\n", "\n"))
            self._at = self._end = end
            self._ahead.clear()
            if end < len(self._text):
                return

    def plain(self) -> list[str] | None:
        """Takes the lines up to the next one with a quotation mark, without their ends: many at a time, which is much
        faster. None: the next one has such a mark, or the file is over."""
        if self._at == len(self._text) and not self._read():
            return None
        mark = self._text.find('"', self._at)
        end = len(self._text)
        if mark >= 0:
            end = max(self._text.rfind("\n", self._at, mark), self._text.rfind("\r", self._at, mark)) + 1
        if end <= self._at:
            return None
        text = self._text[self._at : end].replace("\r\n", "\n").replace("\r", "\n")
        self._at = self._end = end
        self._ahead.clear()
        lines = text.split("\n") if text.strip("\n") else []  # empty lines by the million cost nothing
        if lines and not lines[-1]:
            lines.pop()
        self.number += len(lines) or len(text)
        return lines

    def rest(self) -> Iterator[tuple[int, str]]:
        """Takes all that are left, without their ends, and their numbers: of a file in which quotes mean nothing."""
        text = self._text[self._at :]
        while text:
            lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
            yield from enumerate(lines, self.number)
            self.number += len(lines)
            text = next(self._blocks, "")
        self._text, self._at = "", 0

    def _read(self) -> bool:
        block = next(self._blocks, "")
        self._text = self._text[self._at :] + block
        self._end -= self._at
        self._at = 0
        return bool(block)


def _blocks(pieces: Iterable[str]) -> Iterator[str]:
    """Whole lines, many together; of one that is longer than MAX_LINE no more than shows that it is."""
    rest = ""
    for piece in pieces:
        text = rest + piece
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1  # a CR that comes last may belong to an LF
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > MAX_LINE + 1:
            rest = rest[: MAX_LINE + 1] + ("\r" if rest.endswith("\r") else "")
    if rest:
        yield rest
