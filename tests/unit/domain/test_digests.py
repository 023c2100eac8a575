"""Digests are HMAC-SHA256 as everybody makes it, so that a list can be made with any tool that has the key."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.digests import NO_KEYS, Digests


@given(st.binary(min_size=1, max_size=200), st.integers(70_000_000_000, 79_999_999_999))
def test_it_is_that_of_the_standard_library(key: bytes, phone: int) -> None:
    made = Digests({1: key, 7: b"another"})
    assert made.of(phone, 1) == hmac.digest(key, str(phone).encode(), "sha256")
    assert made.all_of(phone) == [made.of(phone, 1), made.of(phone, 7)]


def test_a_mark_tells_a_key_and_is_no_digest_of_a_phone() -> None:
    one, other = Digests({1: b"one"}), Digests({1: b"other", 2: b"one"})
    assert one.marks[1] == other.marks[2] != other.marks[1]
    assert one.marks[1] not in one.all_of(79123456789)


def test_without_keys_there_is_none() -> None:
    assert (NO_KEYS.versions, NO_KEYS.all_of(79123456789), dict(NO_KEYS.marks)) == ([], [], {})
    with pytest.raises(KeyError):
        NO_KEYS.of(79123456789, 1)
