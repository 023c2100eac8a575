"""Jobs: what travels on the broker, as JSON. They carry ids only; the database carries the truth. Pure.

A job owns nothing. It says that some ids are worth a look: one that is lost, late or comes twice changes nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.errors import OutdatedJob, UndecodableJob

MAX_IDS = 10_000
"""In one job; the leader puts fewer into it."""

_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LaunchJob:
    """Look at this mailing now: it may be due."""

    mailing_id: int

    def encode(self) -> bytes:
        return _encode(1, {"mailing_id": self.mailing_id})

    @classmethod
    def decode(cls, body: bytes) -> "LaunchJob":
        """Raises UndecodableJob."""
        return cls(_id(_decode(body, 1), "mailing_id"))


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Look at these messages of a mailing now: what held them up may be over. For the leader."""

    mailing_id: int
    message_ids: tuple[int, ...]

    def encode(self) -> bytes:
        return _encode(1, {"mailing_id": self.mailing_id, "message_ids": self.message_ids})

    @classmethod
    def decode(cls, body: bytes) -> "WakeUp":
        """Raises UndecodableJob."""
        fields = _decode(body, 1)
        return cls(_id(fields, "mailing_id"), _ids(fields))


class Urgency(NamedTuple):
    """Which of two goes first: the lower. rank: of the mailing's class, or of its turn. ends_at: in seconds since the
    epoch."""

    rank: int
    ends_at: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Messages of one mailing in one lane."""

    mailing_id: int
    lane: int
    urgency: Urgency
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DispatchJob:
    """Messages that are due, of one mailing or of several small ones.

    read_at: when they were, by the database's clock, in seconds since the epoch.
    """

    read_at: float
    pieces: tuple[Piece, ...]

    def __iter__(self) -> Iterator[Piece]:
        return iter(self.pieces)

    @property
    def size(self) -> int:
        """How many messages it names."""
        return sum(len(piece.message_ids) for piece in self.pieces)

    def encode(self) -> bytes:
        pieces = [
            {
                "mailing_id": piece.mailing_id,
                "lane": piece.lane,
                "urgency": piece.urgency,
                "message_ids": piece.message_ids,
            }
            for piece in self.pieces
        ]
        return _encode(2, {"read_at": self.read_at, "pieces": pieces})

    @classmethod
    def decode(cls, body: bytes) -> "DispatchJob":
        """Raises UndecodableJob; OutdatedJob where it is of the version before, which knew no pieces."""
        fields = _decode(body, 2)
        pieces = fields.get("pieces")
        if not isinstance(pieces, list) or not pieces or not all(isinstance(piece, dict) for piece in pieces):
            raise UndecodableJob("`pieces` is not a list of objects")
        job = cls(_number(fields.get("read_at"), "read_at"), tuple(map(_piece, pieces)))
        if job.size > MAX_IDS:
            raise UndecodableJob(f"it names more than {MAX_IDS} messages")
        return job


def _piece(fields: dict[str, Any]) -> Piece:
    lane, urgency = fields.get("lane"), fields.get("urgency")
    if type(lane) is not int or not 0 <= lane <= _MAX_ID:
        raise UndecodableJob("`lane` is not a number of a lane")
    if not isinstance(urgency, list) or len(urgency) != 2 or type(urgency[0]) is not int:
        raise UndecodableJob("`urgency` is not the rank of a class and an end")
    return Piece(
        _id(fields, "mailing_id"), lane, Urgency(urgency[0], _number(urgency[1], "urgency")), _ids(fields)
    )  # fmt: skip


def _encode(version: int, fields: dict[str, Any]) -> bytes:
    return json.dumps({"v": version, **fields}, separators=(",", ":")).encode()


def _decode(body: bytes, expected: int) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UndecodableJob(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise UndecodableJob("not a JSON object")
    version = fields.get("v")
    if type(version) is int and 0 < version < expected:
        raise OutdatedJob(f"version {version} is older than {expected}")
    if type(version) is not int or version != expected:
        raise UndecodableJob(f"version {version!r:.40} is not {expected}")
    return fields


def _id(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not _is_id(value):
        raise UndecodableJob(f"`{name}` is not an id")
    return int(value)  # type: ignore[arg-type]


def _ids(fields: dict[str, Any]) -> tuple[int, ...]:
    ids = fields.get("message_ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_IDS or not all(map(_is_id, ids)):
        raise UndecodableJob(f"`message_ids` is not a list of 1 to {MAX_IDS} ids")
    return tuple(ids)


def _number(value: object, name: str) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e12:  # type: ignore[arg-type]
        raise UndecodableJob(f"`{name}` is not a number of seconds")
    return float(value)  # type: ignore[arg-type]


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_ID
