"""Segments: how long their clients are counted among many, and what the index of attributes costs an import."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import people
from benchmarks.figure import Figure, Report
from benchmarks.run import deployed
from benchmarks.scale import Scale
from benchmarks.scenarios.directory import FORMATS
from benchmarks.services import Services, query
from notification_client import ApiClient
from sandbox import numbering

ROUNDS = 10
RARE = 100_000
"""One client in so many has made a certain number of visits; of fewer clients about a hundred."""

SEGMENTS: Mapping[str, tuple[dict[str, Any], float]] = {
    "of attributes, a tenth of all": ({"attributes": {"city": ["City 3"]}}, 2000.0),
    "of attributes, selective": ({"attributes": {"visits": [7]}}, 50.0),
}
"""Filters, and the milliseconds that each may take."""

FLOORS = {"CSV": 0.9}
"""Of what an import takes without the index, where its file has no attributes."""


def measure(services: Services, scale: Scale) -> Report:
    return Report(f"Segments: {scale.searched:,} clients", [*_counts(services, scale), *_imports(services, scale)])


def _counts(services: Services, scale: Scale) -> Iterator[Figure]:
    """Over HTTP."""
    with services.addresses({}, table=True) as addresses:
        people.fill(addresses.database_url, scale.searched, min(RARE, scale.searched // 100))
        with (
            deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running,
            ApiClient(running.url) as client,
        ):
            for name, (wanted, most) in SEGMENTS.items():
                inner = client.create_segment(name, wanted)["id"]
                segment_id = client.create_segment(name, {"segments": [inner]})["id"]
                times = []
                for _ in range(ROUNDS):
                    began = time.perf_counter()
                    assert client.segment(segment_id)["count"], "Nobody was counted."
                    times.append(time.perf_counter() - began)
                yield Figure(f"count of a segment {name}, p50", median(times) * 1000, "ms", most=most)


def _imports(services: Services, scale: Scale) -> Iterator[Figure]:
    """With the index and without, in turn."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("CSV", "CSV as people spell it"):
            path = Path(directory) / "file"
            with path.open("w", encoding=FORMATS[name].encoding, newline="") as file:
                file.writelines(FORMATS[name].lines(numbering.clients(scale.clients, seed=1)))
            rates: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(scale.repetitions):
                for is_there, some in rates.items():
                    some.append(_import(services, scale, path, name, is_there=is_there))
            ratio = median(rates[True]) / median(rates[False])
            yield Figure(f"imported from {name}, with the index / without", ratio, "", least=FLOORS.get(name))


def _import(services: Services, scale: Scale, path: Path, name: str, *, is_there: bool) -> float:
    """Clients a second, into an empty directory."""
    with (
        services.addresses({}, table=True) as addresses,
        deployed(services.processes, addresses, dispatchers=0, warm_up=False) as running,
        ApiClient(running.url, timeout=900) as client,
        path.open("rb") as file,
    ):
        if not is_there:
            query(addresses.database_url, "drop index clients_attributes_idx")
        began = time.monotonic()
        answer = client.import_clients(file, content_type=FORMATS[name].content_type)
        assert answer["created"] == scale.clients, "A client was not imported."
        return scale.clients / (time.monotonic() - began)
