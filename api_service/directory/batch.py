"""Lines of a file of clients, some thousands at a time, and what they say together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from api_service.directory.files.lines import EMPTIED, Column, Line, Refused, Row, cells_of
from shared import clock
from shared.domain.attributes import MAX, TOO_MANY

LINES = 10_000
CHARACTERS = 2**20
"""Of attributes, with their names, and of refused lines; of what else a line has there is little."""
_CELL = 8
"""Characters that a cell takes in memory beside its own: there may be thousands of empty ones in a line."""
LINGER = 1.0
"""Seconds after which a batch is taken though it is not full, so that a slow file shows its progress, too."""


@dataclass(frozen=True, slots=True)
class Results:
    """Lines by what became of them: a client's first line may create them, any other one updates them."""

    created: int
    updated: int
    refused: int


class Batch:
    """rows: by phone, what its lines say together. emptied: how many values there are of which nothing was left.
    emptied_values: line and header of the first of them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """columns: of the file; none of NDJSON."""
        self._columns = columns
        self.lines = 0
        self.normalised = 0
        self.rows: dict[str, Row] = {}
        self.refused: list[Refused] = []
        self.emptied = 0
        self.emptied_values: list[tuple[int, str]] = []
        self.characters = 0
        self._repeated: dict[str, list[Row]] = {}  # earlier and later ones, where there are several

    def add(self, line: Line) -> None:
        self.lines += 1
        if isinstance(line, Refused):
            self._refuse(line)
            return
        if line.emptied:
            self.emptied += len(line.emptied)
            room = EMPTIED - len(self.emptied_values)
            self.emptied_values += [(line.line, header) for header in line.emptied[:room]]
            line = line._replace(emptied=())
        if line.phone in self.rows:
            self._repeat(line)
        else:
            self.rows[line.phone] = line
        if line.attributes:
            self.characters += sum(map(len, line.attributes)) + sum(map(len, map(str, line.attributes.values())))
        if line.is_normalised:
            self.normalised += 1

    def _repeat(self, later: Row) -> None:
        earlier = self.rows[later.phone]
        attributes = {**(earlier.attributes or {}), **(later.attributes or {})} or None
        if attributes and len(attributes) > MAX:
            self._refuse(self._too_many(later))
            return
        self._repeated.setdefault(later.phone, [earlier]).append(later)
        self.rows[later.phone] = later._replace(
            operator_code=later.operator_code or earlier.operator_code,
            tag=earlier.tag if later.tag is None else later.tag,
            timezone=later.timezone or earlier.timezone,
            attributes=attributes,
        )

    def _refuse(self, line: Refused) -> None:
        self.refused.append(line)
        self.characters += len(line.value) + sum(map(len, line.cells)) + _CELL * len(line.cells)

    def results(self, created: int, refused: int) -> Results:
        """created: clients. refused: lines."""
        return Results(created, self.lines - refused - created, refused)

    def all_refused(self, full: Iterable[str]) -> list[Refused]:
        """In the order of the file. full: phones of clients who have no room for what is said of them."""
        of_full = [self._too_many(row) for phone in full for row in self._repeated.get(phone, [self.rows[phone]])]
        return sorted([*self.refused, *of_full], key=lambda line: line.line) if of_full else self.refused

    def _too_many(self, row: Row) -> Refused:
        return Refused(row.line, {"attributes": [TOO_MANY]}, row.phone, cells_of(row, self._columns))


def batches(lines: Iterable[Line], columns: Sequence[Column] = ()) -> Iterator[Batch]:
    batch, begun = Batch(columns), clock.ticks()
    for line in lines:
        batch.add(line)
        if batch.lines == LINES or batch.characters > CHARACTERS or clock.ticks() - begun > LINGER:
            yield batch
            batch, begun = Batch(columns), clock.ticks()
    if batch.lines:
        yield batch
