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
        self._keys = dict(sorted(keys.items()))

    @property
    def versions(self) -> Sequence[int]:
        """Ascending."""
        return list(self._keys)

    def of(self, phone: int, version: int) -> bytes:
        return _digest(self._keys[version], str(phone).encode())

    def all_of(self, phone: int) -> list[bytes]:
        """Under every key."""
        said = str(phone).encode()
        return [_digest(key, said) for key in self._keys.values()]

    @cached_property
    def marks(self) -> Mapping[int, bytes]:
        """By version, what tells a key from every other one, and says nothing of it."""
        return {version: _digest(key, _MARKED) for version, key in self._keys.items()}


def _digest(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256")


NO_KEYS = Digests({})
"""Of a process that was given none: it may do everything as long as nobody is suppressed."""
