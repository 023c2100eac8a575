"""Batches of lines: what they weigh, whatever the lines look like."""

import tracemalloc
from collections.abc import Iterator

import pytest

from api_service.directory import batch
from api_service.directory.client_lines import CSV, NDJSON, read
from api_service.directory.files.lines import EMPTIED

_LINES = 4_000
_COLUMNS = "".join(f",c{place}" for place in range(400))
_NAMES = [f"{place:02}".ljust(64, "n") for place in range(40)]

_FILES = {
    "values of which nothing is left": (CSV, f"phone{_COLUMNS}", "{}" + ", " * 400),
    "empty cells of refused lines": (CSV, "phone,tag", "{}" + "," * 600 + "x"),
    "long names": (CSV, ",".join(["phone", *_NAMES]), "{}" + ",1" * 40),
    "long names of objects": (
        NDJSON, "", '{{"phone": "{}", "attributes": {{' + ", ".join(f'"{name}": 1' for name in _NAMES) + "}}}}",
    ),
    "values that never come again": (
        CSV, "phone" + "".join(f",c{place}" for place in range(40)), "{0}" + ",{0}value" * 40,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _FILES)
def test_memory_does_not_depend_on_what_the_lines_look_like(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LINGER", 1e9)
    kind, head, line = _FILES[name]

    def pieces() -> Iterator[bytes]:
        yield f"{head}\n".encode() if head else b""
        for number in range(_LINES):
            yield f"{line.format(79120000000 + number)}\n".encode()

    tracemalloc.start()
    try:
        lines = sum(one.lines for one in batch.batches(read(kind, pieces()).lines))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == _LINES
    assert peak < 12 * 2**20


def test_of_values_that_were_emptied_the_first_are_told_and_all_are_counted() -> None:
    (one,) = batch.batches(read(CSV, [b"phone,a,b\n", *(b"7912%07d, , \n" % number for number in range(90))]).lines)
    assert (one.emptied, len(one.emptied_values)) == (180, EMPTIED)
    assert one.emptied_values[:3] == [(2, "a"), (2, "b"), (3, "a")]
