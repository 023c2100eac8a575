"""Which encoding a text is in that is no ASCII, and does not say: UTF-8, or one of those that have a byte for each
letter of Cyrillic.

Letters that are frequent in Russian speak for an encoding; rare ones, signs within a word, and capitals behind small
letters speak against it. Where that is not clear it is UTF-8, of which what cannot be decoded is refused, line by line:
better than tags that nobody can read.
"""

import re
from math import log

LOOKED_AT = 64 * 1024
"""Bytes, from the first one that is no ASCII, after which an encoding is told at the latest."""

_OTHERWISE = "utf-8"
_HEAD_STARTS = {"windows-1251": ("cp1251", 3.0), "koi8-r": ("koi8-r", 0.0)}
"""Codecs, and how much more common one is: spreadsheets write it to this day."""
_PER_MILLE = {
    **{"о": 110, "е": 85, "а": 80, "и": 74, "н": 67, "т": 63, "с": 55, "р": 47, "в": 45, "л": 44, "к": 35, "м": 32},
    **{"д": 30, "п": 28, "у": 26, "я": 20, "ы": 19, "ь": 17, "г": 17, "з": 16, "б": 16, "ч": 14, "й": 12, "х": 10},
    **{"ж": 9, "ш": 7, "ю": 6, "ц": 5, "щ": 4, "э": 3, "ф": 3, "ъ": 1, "ё": 2, "і": 5, "ї": 2, "є": 2},
}
"""Letters of Russian texts (the Russian National Corpus), rounded."""
_USUAL = 3.6  # a letter that is as rare as this, in nats, says nothing
_NO_LETTER, _AMONG_LATIN, _CAPITAL, _BEHIND_SMALL = -2.0, -4.0, -0.2, -4.0
_ENOUGH, _LETTERS = 3.0, 4

_WORD = re.compile(rb"[\x80-\xff][A-Za-z\x80-\xff]*")  # and what Latin letters are before it
_PURE = re.compile(rb"[\x80-\xff]+")
_ASCII = bytes(range(128))
_OF_WORDS = bytes(sign for sign in range(256) if sign > 127 or chr(sign).isalpha())


class Telling:
    """Is given a text piece by piece until it is clear, or over. What it tells does not depend on the pieces."""

    def __init__(self) -> None:
        self._scores = {name: start for name, (_, start) in _HEAD_STARTS.items()}
        self._letters = self._seen = 0
        self._open = b""  # a word that may go on
        self._told: str | None = None

    def more(self, piece: bytes) -> str | None:
        """The encoding, once it is clear."""
        if self._told is None:
            begin = 0 if self._seen else len(piece) - len(piece.lstrip(_ASCII))
            end = begin + LOOKED_AT - self._seen
            self._seen += len(piece[begin:end])
            text = self._open + piece[:end]
            self._open = text[len(text.rstrip(_OF_WORDS)) :] if self._seen else text[-1:]
            self._take(text[: len(text) - len(self._open)])
        return self.end() if self._seen == LOOKED_AT else self._told

    def end(self) -> str:
        """Nothing more comes."""
        self._take(self._open)
        return self._told or _OTHERWISE

    def _take(self, text: bytes) -> None:
        for found in _WORD.finditer(text):
            if self._told is None:
                self._told = self._judged(found[0], text[max(found.start() - 1, 0) : found.start()].isalpha())

    def _judged(self, word: bytes, is_behind_latin: bool) -> str | None:
        if _is_utf8(word):
            return _OTHERWISE
        is_pure = not is_behind_latin and _PURE.fullmatch(word) is not None
        for name in self._scores:
            self._scores[name] += _evidence(word, name) + (0 if is_pure else _AMONG_LATIN)
        self._letters += len(word) if is_pure else 0
        (second, _), (best, name) = sorted((score, name) for name, score in self._scores.items())
        is_clear = self._letters >= _LETTERS and best >= _ENOUGH and best - second >= _ENOUGH
        return name if is_clear else None


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _evidence(word: bytes, encoding: str) -> float:
    """In nats, for and against."""
    letters = word.decode(_HEAD_STARTS[encoding][0], "replace")
    score = 0.0
    for before, letter in zip(" " + letters, letters, strict=False):
        if not letter.isascii():
            score += _weight(letter)
            if letter.isupper():
                score += _BEHIND_SMALL if before.islower() else _CAPITAL
    return score


def _weight(letter: str) -> float:
    share = _PER_MILLE.get(letter.lower())
    return log(share / 1000) + _USUAL if share else _NO_LETTER
