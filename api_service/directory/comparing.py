"""Phones of clients, compared with the list of those that must not be written to."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, text

from api_service.web.problems import Unavailable
from shared.domain.digests import Digests
from shared.suppression import KEYS_ARE_KNOWN, hold, read_marks


class KeyMissing(Unavailable):
    """Nobody could tell whether a phone is on the list."""

    def __init__(self) -> None:
        super().__init__(
            "A key that suppressions were made with is missing: SUPPRESSION_KEYS of this process must name it.",
            Retry_After="60",
        )


def versions_in_use(connection: Connection, digests: Digests) -> Collection[int]:
    """Of the keys that rows were made with, all of which are at hand; none: there are no rows. Raises KeyMissing."""
    marks = read_marks(connection)
    if digests.missing(marks):
        raise KeyMissing
    return marks.keys()


def take_into_use(connection: Connection, digests: Digests, version: int) -> None:
    """A key that was not. For who has the list alone."""
    connection.execute(_USE, {"version": version, "mark": digests.marks[version]})


_USE = text("insert into suppression_keys (version, mark) values (:version, :mark)")


def asked(digests: Digests, phone: int) -> dict[str, Any]:
    """What LISTED and `KEYS_ARE_KNOWN` want."""
    return {"digests": digests.all_of(phone), "marks": list(digests.marks.values())}


LISTED = "(select id from suppressions where digest = any(cast(:digests as bytea[])) limit 1)"
"""The suppression of a phone, if there is one."""


def find_suppression(connection: Connection, digests: Digests, phone: int) -> int | None:
    """That of a phone. Raises KeyMissing."""
    row = connection.execute(_FIND, asked(digests, phone)).one()
    if not row.is_known:
        raise KeyMissing
    found: int | None = row.id
    return found


_FIND = text(f"select {LISTED} as id, {KEYS_ARE_KNOWN} as is_known")


def compare(connection: Connection, digests: Digests, phones: Collection[str]) -> dict[int, int]:
    """Of clients who are about to be written: the suppressions of those who are on the list, which stands still until
    the end of the transaction. Raises KeyMissing."""
    hold(connection)
    return find_suppressions(connection, digests, [int(phone) for phone in phones])


def find_suppressions(connection: Connection, digests: Digests, phones: Collection[int]) -> dict[int, int]:
    """Those of many phones, by phone; costs next to nothing where nobody is suppressed. Raises KeyMissing."""
    if not connection.scalar(_ARE_THERE_ANY):
        return {}
    if not connection.scalar(_ARE_KNOWN, {"marks": list(digests.marks.values())}):
        raise KeyMissing
    phone_of = {digest: phone for phone in phones for digest in digests.all_of(phone)}
    rows = connection.execute(_FIND_ALL, {"digests": ",".join(map(bytes.hex, phone_of))})
    return {phone_of[bytes(row.digest)]: row.id for row in rows}


_ARE_THERE_ANY = text("select exists (select from suppressions)")
_ARE_KNOWN = text(f"select {KEYS_ARE_KNOWN}")
# As one literal, which the server reads in a fraction of the time.
_FIND_ALL = text("""
    select s.digest, s.id from unnest(string_to_array(:digests, ',')) as given (hex)
    cross join lateral (select id, digest from suppressions where digest = decode(given.hex, 'hex') limit 1) s
""")
