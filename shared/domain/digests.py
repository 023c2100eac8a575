"""What is kept of a phone that must not be written to: a digest that only who has the key can make. Pure.

A phone has ten digits that may be anything, so that a digest without a key is undone in an hour.
"""

import hmac
from collections.abc import Mapping, Sequence
from functools import cached_property

_MARKED = b"the key itself"  # no phone is written so


class Digests:
    """The keys of one process, by version. Rows name the version of theirs; the digests of a phone under two keys have
    nothing in common."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        # Begun once for each key: of a million phones in a file each takes half as long so.
        self._begun = {version: hmac.new(key, digestmod="sha256") for version, key in sorted(keys.items())}

    @property
    def versions(self) -> Sequence[int]:
        """Ascending."""
        return list(self._begun)

    def of(self, phone: int, version: int) -> bytes:
        return _ended(self._begun[version], str(phone).encode())

    def all_of(self, phone: int) -> list[bytes]:
        """Under every key."""
        said = str(phone).encode()
        return [_ended(begun, said) for begun in self._begun.values()]

    @cached_property
    def marks(self) -> Mapping[int, bytes]:
        """By version, what tells a key from every other one, and says nothing of it."""
        return {version: _ended(begun, _MARKED) for version, begun in self._begun.items()}

    def missing(self, marks: Mapping[int, bytes]) -> Sequence[int]:
        """Versions of which another key has this mark than the one that is at hand, or none is; ascending."""
        return sorted(version for version, mark in marks.items() if self.marks.get(version) != mark)


def _ended(begun: hmac.HMAC, said: bytes) -> bytes:
    digest = begun.copy()
    digest.update(said)
    return digest.digest()


NO_KEYS = Digests({})
"""Of a process that was given none: it may do everything as long as nobody is suppressed."""
