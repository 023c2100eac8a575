"""A table of a profile that is read key by key, with every fault noted beside its line. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from shared.domain.profile.lines import Key, spelled

T = TypeVar("T")


class Fault(NamedTuple):
    """line: 0: it is in no line of the file, as where something is missing."""

    line: int
    key: str
    what: str

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.key}: {self.what}"


@dataclass(slots=True)
class Faults:
    """What is wrong with a document. lines: where its keys stand."""

    lines: Mapping[Key, int] = field(default_factory=dict)
    found: list[Fault] = field(default_factory=list)

    def add(self, key: Key, what: str) -> None:
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        fault = Fault(self.lines.get(known, 0), spelled(key), what)
        if fault not in self.found:
            self.found.append(fault)

    def parsed(self, key: Key, parse: Callable[[Any], T], value: Any) -> T | None:
        """None: it was a ValueError, which is a fault of this key."""
        try:
            return parse(value)
        except ValueError as error:
            self.add(key, str(error))
            return None


class Section:
    """One table. `end` notes the keys that nobody has asked for."""

    def __init__(self, table: object, key: Key, faults: Faults) -> None:
        self.key, self.faults = key, faults
        if not isinstance(table, dict):
            faults.add(key, "must be a table")
            table = {}
        self._table: dict[str, Any] = table
        self._asked: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._table

    @property
    def names(self) -> list[str]:
        return list(self._table)

    def take(self, name: str, parse: Callable[[Any], T], default: T) -> T:
        """What stands there. parse: raises ValueError with the end of a sentence that begins with the key."""
        self._asked.append(name)
        if name not in self._table:
            return default
        found = self.faults.parsed((*self.key, name), parse, self._table[name])
        return default if found is None else found

    def raw(self, name: str, default: Any = None) -> Any:
        self._asked.append(name)
        return self._table.get(name, default)

    def section(self, name: str) -> "Section":
        """The table there; an empty one where there is none."""
        return Section(self.raw(name, {}), (*self.key, name), self.faults)

    def sections(self, name: str) -> list["Section"]:
        """The tables of the list there."""
        items = self.raw(name, [])
        if not isinstance(items, list):
            self.faults.add((*self.key, name), "must be a list of tables")
            return []
        return [Section(item, (*self.key, name, at), self.faults) for at, item in enumerate(items)]

    def fault(self, what: str, *more: str | int) -> None:
        self.faults.add((*self.key, *more), what)

    def end(self) -> None:
        for name in self._table:
            if name not in self._asked:
                near = get_close_matches(name, self._asked, 1)
                hint = f" (is it {near[0]}?)" if near else f"; there are {', '.join(sorted(set(self._asked)))}"
                self.fault(f"there is no such key{hint}", name)


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def choice(names: Sequence[str]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return parse


def number(least: float, most: float) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return float(value)

    return parse


def integer(least: int, most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return parse


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("must be a list of texts that are not empty")
    if len(set(value)) < len(value):
        raise ValueError("has one text twice")
    return tuple(value)
