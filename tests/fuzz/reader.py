"""A second reader of HTTP/1.1 answers, written from RFC 9112 and 9110 and not from libcurl.

It says what an answer of the provider means by the letter, and by the spirit: libcurl forgives many a slip of the form,
and may, as long as it takes nothing for an acceptance that is none however one reads it.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from shared.domain.profile.answer import MAX_BODY


@dataclass(frozen=True)
class Answer:
    """rest: what came behind it. None: it ends with the connection, so nothing can."""

    status: int
    body: bytes
    rest: bytes | None

    @property
    def accepts(self) -> bool:
        """Whether it says that the provider has taken the message."""
        return 200 <= self.status < 300 and len(self.body) <= MAX_BODY and has_code_0(self.body)


def has_code_0(body: bytes) -> bool:
    """By the text of the number, so that neither 0.0 nor false equals 0; and no object names a member twice."""
    repeated = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(name for name in {name for name, _ in pairs} if [other for other, _ in pairs].count(name) > 1)
        return dict(pairs)

    try:
        value: Any = json.loads(body, parse_int=lambda digits: ("integer", digits), object_pairs_hook=members)
    except (ValueError, RecursionError):
        return False
    is_zero = isinstance(value, dict) and value.get("code") in (("integer", "0"), ("integer", "-0"))
    return is_zero and not repeated


@dataclass(frozen=True)
class Grammar:
    """codings: of the transfer, that leave the body as it is, or in chunks."""

    end: re.Pattern[bytes]
    status_line: re.Pattern[bytes]
    field: re.Pattern[bytes]
    forgives: bool  # a line may go on in the next one, and CR alone ends the headers
    length: re.Pattern[bytes]
    chunk: re.Pattern[bytes]
    plain: frozenset[bytes]
    chunked: frozenset[bytes]


LETTER = Grammar(
    end=re.compile(rb"\r\n"),
    status_line=re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [\t\x20-\x7e\x80-\xff]*)?"),
    field=re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*"),
    forgives=False,
    length=re.compile(rb"([0-9]{1,18})"),
    chunk=re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?"),
    plain=frozenset(),
    chunked=frozenset({b"chunked"}),
)
SPIRIT = Grammar(
    end=re.compile(rb"\r*\n"),
    status_line=re.compile(rb"(?i:HTTP)/[0-9][0-9.]*[ \t]+([0-9]{3})[^\n]*"),
    field=re.compile(rb"([^:\n\0]*):[ \t]*([^\n\0]*?)\s*"),
    forgives=True,
    length=re.compile(rb"\+?([0-9]{1,18})(?:[^0-9].*)?"),
    chunk=re.compile(rb"([0-9A-Fa-f]{1,15})(?:[^0-9A-Fa-f].*)?"),
    plain=frozenset({b"", b"identity"}),
    chunked=frozenset({b"chunked", b"chunked, chunked", b"identity, chunked", b"identity,chunked"}),
)


class _Malformed(Exception):
    pass


def read(stream: bytes, grammar: Grammar = LETTER) -> Answer | None:
    """The answer in what the provider said on a connection before it closed it; None where there is no whole one."""
    try:
        return _Reader(stream, grammar).final()
    except _Malformed:
        return None


class _Reader:
    def __init__(self, stream: bytes, grammar: Grammar) -> None:
        self._stream, self._grammar = stream, grammar

    def final(self) -> Answer:
        while True:
            status, fields = self._status(), self._fields()
            if status == 101 or status < 100:
                raise _Malformed("we did not ask for another protocol")
            if status >= 200:
                return self._answer(status, fields)

    def _status(self) -> int:
        return int(self._matched(self._grammar.status_line, self._line()))

    def _fields(self) -> dict[bytes, list[bytes]]:
        fields: dict[bytes, list[bytes]] = {}
        last: list[bytes] = []
        while line := self._line():
            if self._grammar.forgives and line.startswith(b"\r"):
                break
            if self._grammar.forgives and line[:1] in b" \t" and last:
                last[-1] = b" ".join([last[-1], line.strip()]).strip()
                continue
            match = self._grammar.field.fullmatch(line)
            if match is None:
                raise _Malformed("no header")
            last = fields.setdefault(match[1].lower(), [])
            last.append(match[2])
        return fields

    def _answer(self, status: int, fields: dict[bytes, list[bytes]]) -> Answer:
        coding = b", ".join(fields.get(b"transfer-encoding", [])).strip().lower()
        lengths = {self._matched(self._grammar.length, length) for length in fields.get(b"content-length", [])}
        if status in (204, 304):
            return Answer(status, b"", self._stream)
        if coding in self._grammar.chunked:
            return Answer(status, self._chunks(), self._stream)
        if b"transfer-encoding" in fields and coding not in self._grammar.plain:
            raise _Malformed("a coding that we cannot read")
        if not lengths:
            return Answer(status, self._stream, None)
        if len(lengths) > 1:
            raise _Malformed("two lengths")
        return Answer(status, self._taken(int(lengths.pop())), self._stream)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._matched(self._grammar.chunk, self._line()), 16):
            body += self._taken(size)
            if self._line():
                raise _Malformed("more than the chunk")
        self._fields()
        return body

    def _line(self) -> bytes:
        end = self._grammar.end.search(self._stream)
        if end is None:
            raise _Malformed("cut off")
        line, self._stream = self._stream[: end.start()], self._stream[end.end() :]
        return line

    def _taken(self, size: int) -> bytes:
        if len(self._stream) < size:
            raise _Malformed("cut off")
        taken, self._stream = self._stream[:size], self._stream[size:]
        return taken

    def _matched(self, pattern: re.Pattern[bytes], text: bytes) -> bytes:
        match = pattern.fullmatch(text)
        if match is None:
            raise _Malformed(f"{text!r} is not {pattern.pattern!r}")
        return match[1]
