"""Where the keys of a TOML document stand. `tomllib` says what they are worth, and not in which line. Pure."""

import re
from typing import Any

Key = tuple[str | int, ...]
"""From the document's root: names of tables, and places in lists, from 0."""

_SKIPPED = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL)
_OTHER = re.compile(r"[^,\]\}\n#]+")


def lines_of(text: str) -> dict[Key, int]:
    """The line, from 1, of each key and each item of a list. text: TOML that `tomllib` takes."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines: dict[Key, int] = {}
        self._lists: dict[Key, int] = {}  # items so far of lists that are made of [[tables]]

    def read(self) -> dict[Key, int]:
        table: Key = ()
        while self._skip():
            if self._takes("[["):
                table = self._named(())
                count = self._lists.get(table, 0)
                self._lists[table] = count + 1
                self._note(table := (*table, count))
                self._takes("]]")
            elif self._takes("["):
                self._note(table := self._named(()))
                self._takes("]")
            else:
                self._pair(table)
        return self._lines

    def _skip(self) -> bool:
        """Over blanks and comments; whether something follows."""
        found = _SKIPPED.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _takes(self, sign: str) -> bool:
        self._skip()
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _note(self, key: Key) -> None:
        self._lines.setdefault(key, self._text.count("\n", 0, self._at) + 1)

    def _named(self, table: Key) -> Key:
        """A dotted key; one that leads into a list of [[tables]] means the last of them."""
        key = table
        while True:
            self._skip()
            key = (*key, self._name())
            more = _DOT.match(self._text, self._at)
            if not more:
                return key
            self._at = more.end()
            if key in self._lists:
                key = (*key, self._lists[key] - 1)

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if not found:
            raise ValueError("no TOML")
        self._at = found.end()
        return found[0].strip("\"'")

    def _pair(self, table: Key) -> None:
        self._skip()
        at = self._at
        key = self._named(table)
        for length in range(len(table) + 1, len(key) + 1):
            self._lines.setdefault(key[:length], self._text.count("\n", 0, at) + 1)
        self._takes("=")
        self._value(key)

    def _value(self, key: Key) -> None:
        if self._takes("["):
            count = 0
            while not self._takes("]"):
                self._note((*key, count))
                self._value((*key, count))
                count += 1
                self._takes(",")
        elif self._takes("{"):
            while not self._takes("}"):
                self._pair(key)
                self._takes(",")
        else:
            self._skip()
            found = _TEXT.match(self._text, self._at) or _OTHER.match(self._text, self._at)
            if not found:
                raise ValueError("no TOML")
            self._at = found.end()


def spelled(key: tuple[Any, ...]) -> str:
    """`providers.own.rules[2].path`; items count from 1, as people do."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
