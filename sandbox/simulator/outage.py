"""Outages: for a while the provider as a whole is down. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    REFUSE = "refuse"  # as if the process had died: connections are reset, new ones refused
    UNAVAILABLE = "503"  # every request is answered with 503
    HANG = "hang"  # no request is answered, not even after the outage


class OutageError(ValueError):
    """One sentence that names the field."""


@dataclass(frozen=True, slots=True, eq=False)
class Outage:
    """`seconds`: how long; None: until it is ended. `after`: seconds until it begins. Raises OutageError."""

    mode: Mode
    seconds: float | None = None
    after: float = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and not (_is_duration(self.seconds) and self.seconds > 0):
            raise OutageError("seconds must be a number above 0, or null")
        if not _is_duration(self.after):
            raise OutageError("after must be a number from 0 on")

    @classmethod
    def from_json(cls, values: object) -> "Outage":
        """From `{"mode": ..., "seconds": ..., "after": ...}`, of which only the mode is a must. Raises OutageError."""
        if not isinstance(values, dict) or "mode" not in values:
            raise OutageError("an outage must be a JSON object with a mode")
        if unknown := values.keys() - {"mode", "seconds", "after"}:
            raise OutageError(f"{min(unknown)}: there is no such field")
        return cls(**{**values, "mode": _mode(values["mode"])})

    @classmethod
    def parse(cls, text: str) -> "Outage":
        """From `refuse:10:5`, from second 10 on for 5 seconds. Raises OutageError."""
        match = re.fullmatch(r"(\w+):(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text, re.ASCII)
        if not match:
            raise OutageError("an outage must be of the form MODE:AFTER:SECONDS, such as refuse:10:5")
        return cls(_mode(match[1]), seconds=float(match[3]), after=float(match[2]))


def _mode(value: str) -> Mode:
    try:
        return Mode(value)
    except ValueError as error:
        raise OutageError(f"mode must be one of {', '.join(Mode)}") from error


def _is_duration(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 10**6  # type: ignore[operator]
