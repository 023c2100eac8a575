"""The parts of an SMS: against a table that another program has made, and by the laws of cutting."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.text.parts import BASIC, EXTENDED, GSM7, Encoding, parts

CASES = Path(__file__).parents[2] / "support" / "sms_parts" / "cases.json"

in_gsm7 = st.text(st.sampled_from(sorted(GSM7)), max_size=1000)
mixed = st.text(st.sampled_from([*sorted(GSM7), *"жї“…漢😀𝒳\u0301\u200d"]), max_size=500)
anything = in_gsm7 | mixed | st.text(max_size=400)


def test_it_is_what_another_program_says() -> None:
    """`tests/support/sms_parts/make.js` says how the table was made."""
    table = json.loads(CASES.read_text(encoding="utf-8"))
    assert len(table) > 400
    for pieces, encoding, count in table:
        found = parts("".join(piece * times for piece, times in pieces))
        assert (found.encoding, found.count) == (encoding, count), pieces


@pytest.mark.parametrize(
    ("text", "count", "units", "left"),
    [
        ("", 1, 0, 160),
        ("a" * 160, 1, 160, 0),
        ("a" * 161, 2, 161, 145),
        ("€" * 80, 1, 160, 0),
        ("a" * 152 + "€" * 5, 2, 162, 143),  # the first part ends a septet early, or the escape would end it
        ("ж" * 70, 1, 70, 0),
        ("ж" * 71, 2, 71, 63),
        ("😀" * 35, 1, 70, 0),
        ("😀" * 67, 3, 134, 65),  # 33 in a part, and not two parts of 67 units
        ("😀" * 2000, 61, 4000, 27),
    ],
    ids=lambda value: f"{value[:2]}…{len(value)}" if isinstance(value, str) else "",
)
def test_nothing_is_split_at_the_border_of_a_part(text: str, count: int, units: int, left: int) -> None:
    found = parts(text)
    assert (found.count, found.units, found.left) == (count, units, left)


def test_the_alphabet_has_its_size() -> None:
    """127 characters and the escape, and ten behind that."""
    assert (len(BASIC), len(EXTENDED), len(GSM7)) == (127, 10, 137)


@given(anything)
def test_the_parts_that_are_cut_by_hand_are_as_many(text: str) -> None:
    found = parts(text)
    cut = _cut(text, found.encoding)
    assert found.count == len(cut)
    assert sum(map(sum, cut)) == found.units
    assert found.encoding == (Encoding.GSM7 if set(text) <= GSM7 else Encoding.UCS2)
    alone, joined = (160, 153) if found.encoding is Encoding.GSM7 else (70, 67)
    room = alone if found.count == 1 else joined
    assert all(sum(part) <= room for part in cut)
    assert found.left == room - sum(cut[-1])


@given(anything, anything)
def test_more_text_never_takes_fewer_parts(text: str, more: str) -> None:
    assert parts(text).count <= parts(text + more).count


def _cut(text: str, encoding: Encoding) -> Sequence[Sequence[int]]:
    """The widths of the characters in each part, laid one beside the other."""
    is_gsm7 = encoding is Encoding.GSM7
    widths = [1 + (sign in EXTENDED if is_gsm7 else ord(sign) > 0xFFFF) for sign in text]
    if sum(widths) <= (160 if is_gsm7 else 70):
        return [widths]
    cut: list[list[int]] = [[]]
    for width in widths:
        if sum(cut[-1]) + width > (153 if is_gsm7 else 67):
            cut.append([])
        cut[-1].append(width)
    return cut
