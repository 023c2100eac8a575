"""Files of clients as tests send them, and what becomes of them by the simplest reading there is."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

COLUMNS = ("phone", "operator_code", "tag", "timezone")

Client = Mapping[str, Any]


def as_csv(clients: Iterable[Client], columns: Sequence[str] = COLUMNS, end: str = "\n") -> bytes:
    """What a client does not have is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator=end)
    writer.writeheader()
    writer.writerows(clients)
    return text.getvalue().encode()


def as_ndjson(values: Iterable[Any]) -> bytes:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values).encode()


def in_pieces(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Cut at these places."""
    before = 0
    for place in [*sorted(places), len(data)]:
        if place > before:
            yield data[before:place]
            before = place
