"""Jobs: what travels on the broker, as JSON. They carry ids only; the database carries the truth. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from shared.domain.errors import UndecodableJob

VERSION = 1
MAX_IDS = 10_000
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LaunchJob:
    """Look at this mailing now: it may be due."""

    mailing_id: int

    def encode(self) -> bytes:
        return _encode({"v": VERSION, "mailing_id": self.mailing_id})

    @classmethod
    def decode(cls, body: bytes) -> "LaunchJob":
        """Raises UndecodableJob."""
        return cls(_id(_decode(body), "mailing_id"))


@dataclass(frozen=True, slots=True)
class DispatchJob:
    """A chunk of messages of one mailing."""

    mailing_id: int
    message_ids: tuple[int, ...]

    def encode(self) -> bytes:
        return _encode({"v": VERSION, "mailing_id": self.mailing_id, "message_ids": self.message_ids})

    @classmethod
    def decode(cls, body: bytes) -> "DispatchJob":
        """Raises UndecodableJob."""
        fields = _decode(body)
        ids = fields.get("message_ids")
        if not isinstance(ids, list) or not 0 < len(ids) <= MAX_IDS or not all(map(_is_id, ids)):
            raise UndecodableJob(f"`message_ids` is not a list of 1 to {MAX_IDS} ids")
        return cls(_id(fields, "mailing_id"), tuple(ids))


def _encode(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UndecodableJob(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise UndecodableJob("not a JSON object")
    version = fields.get("v")
    if type(version) is not int or version != VERSION:
        raise UndecodableJob(f"version {version!r:.40} is not {VERSION}")
    return fields


def _id(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not _is_id(value):
        raise UndecodableJob(f"`{name}` is not an id")
    return int(value)  # type: ignore[arg-type]


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_ID
