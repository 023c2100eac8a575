"""The faults, and which request is hit by which one. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from hashlib import blake2b
from http import HTTPStatus


class Fault(StrEnum):
    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> "Fault":
        fault = str.__new__(cls, value)
        fault._value_, fault.meaning = value, meaning
        return fault

    NONE = "none", "accepted, 200 and code 0"
    HANG = "hang", "not accepted, no answer until the client gives up"
    SERVER_ERROR = "server_error", "not accepted, 500, 502, 503 or 504"
    RATE_LIMITED = "rate_limited", "not accepted, 429 with Retry-After"
    BAD_REQUEST = "bad_request", "not accepted, 400"
    UNAUTHORIZED = "unauthorized", "not accepted, 401"
    NOT_JSON = "not_json", "not accepted, 200 with a page of HTML"
    WRONG_CODE = "wrong_code", "not accepted, 200 with a code that is not 0"
    TRUNCATED = "truncated", "not accepted, 200 and a body that is shorter than its Content-Length"
    ENDLESS = "endless", "not accepted, 200 and a body of 64 MiB that begins like a good one"
    REDIRECT = "redirect", "not accepted, 307 to a path that does not exist"
    RESET = "reset", "not accepted, the connection is reset (RST) instead of an answer"
    ACCEPT_RESET = "accept_reset", "accepted, the connection is reset instead of an answer"
    ACCEPT_HANG = "accept_hang", "accepted, no answer until the client gives up"
    OTHER_ID = "other_id", "accepted, 200 and code 0, but the body also names another id"
    CONTRADICTION = "contradiction", "accepted, 200 and a body with two codes, 7 and 0"
    NO_CODE = "no_code", "accepted, 200 and JSON that has no code"
    CREATED = "created", "accepted, 201 and a body that says nothing of the contract"
    STATUS = "status", "not accepted, the one status that all requests get (--status)"
    POISON = "poison", "not accepted, 500 because of its text (--poison)"


DRAWN = tuple(fault for fault in Fault if fault not in (Fault.NONE, Fault.STATUS, Fault.POISON))
"""Those that hit a share of the requests."""

ACCEPTING = frozenset({
    Fault.NONE, Fault.ACCEPT_RESET, Fault.ACCEPT_HANG, Fault.OTHER_ID, Fault.CONTRADICTION, Fault.NO_CODE,
    Fault.CREATED,
})  # fmt: skip
CONFIRMING = frozenset({Fault.NONE, Fault.OTHER_ID})
"""These tell the client that the message was accepted; after them it has no reason to come again."""


class FaultsError(ValueError):
    """One sentence that names the field."""


STATUSES = frozenset(status.value for status in HTTPStatus if status >= 200)


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Raises FaultsError when the fields make no sense.

    rates: share of the requests, 0 to 1 each and in sum. latency_ms, jitter_ms: an answer comes after `latency_ms` and
    up to `jitter_ms` more. retry_after: seconds, sent with 429. max_faults_per_id: after so many faults an id is left
    in peace. Whatever the fields before say: refuse_ids_modulo: ids divisible by it get 400 every time. poison: a text
    with this in it gets 500 every time. status: every request gets this one, as from an account that is closed or an
    address that is wrong.
    takes_per_second: requests beyond so many get 429 as well; None: it takes them all.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    latency_ms: float = 0
    jitter_ms: float = 0
    retry_after: int = 1
    max_faults_per_id: int | None = None
    refuse_ids_modulo: int | None = None
    poison: str | None = None
    status: int | None = None
    takes_per_second: int | None = None

    def __post_init__(self) -> None:
        for fault, rate in self.rates.items():
            if fault is Fault.NONE:
                raise FaultsError("rates: none is what is left over")
            if fault not in DRAWN:
                raise FaultsError(f"rates: {fault} hits no share of the requests")
            if not _is_number(rate) or not 0 <= rate <= 1:
                raise FaultsError(f"rates: {fault} must be a number from 0 to 1")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise FaultsError("rates: they must not add up to more than 1")
        for name in ("latency_ms", "jitter_ms"):
            if not _is_number(getattr(self, name)) or not 0 <= getattr(self, name) <= 600_000:
                raise FaultsError(f"{name} must be a number from 0 to 600000")
        leasts = {"retry_after": 0, "max_faults_per_id": 0, "refuse_ids_modulo": 1, "takes_per_second": 1}
        for name, least in leasts.items():
            value = getattr(self, name)
            if (value is None and name != "retry_after") or (type(value) is int and least <= value <= 2**31):
                continue
            raise FaultsError(f"{name} must be a whole number from {least} on")
        if self.poison is not None and not (isinstance(self.poison, str) and self.poison):
            raise FaultsError("poison must be a text that is not empty")
        if self.status is not None and self.status not in STATUSES:
            raise FaultsError("status must be one of HTTP from 200 on that has a name")

    @classmethod
    def from_json(cls, values: object) -> "Faults":
        """From what `to_json` gives; a field that is left out has its default. Raises FaultsError."""
        if not isinstance(values, dict):
            raise FaultsError("the faults must be a JSON object")
        if unknown := values.keys() - {each.name for each in fields(cls)}:
            raise FaultsError(f"{min(unknown)}: there is no such field")
        if not isinstance(values.get("rates", {}), dict):
            raise FaultsError("rates must be a JSON object")
        return cls(**{**values, "rates": {_fault(name): rate for name, rate in values.get("rates", {}).items()}})

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "rates": {str(fault): rate for fault, rate in self.rates.items()}}

    def choose(self, chance: float, message_id: int, hits: int, text: str = "") -> Fault:
        """The fate of a request. chance: from 0 to less than 1. hits: faults that the id has had before."""
        if self.status is not None:
            return Fault.STATUS
        if self.poison is not None and self.poison in text:
            return Fault.POISON
        if self.refuse_ids_modulo is not None and message_id % self.refuse_ids_modulo == 0:
            return Fault.BAD_REQUEST
        if self.max_faults_per_id is not None and hits >= self.max_faults_per_id:
            return Fault.NONE
        for fault, rate in self.rates.items():
            if chance < rate:
                return fault
            chance -= rate
        return Fault.NONE

    def delay(self, chance: float) -> float:
        """Seconds until the answer."""
        return (self.latency_ms + chance * self.jitter_ms) / 1000


def chances(seed: int, message_id: int, attempt: int) -> tuple[float, float]:
    """Two numbers from 0 to less than 1 for the n-th request of an id, the same ones every time."""
    digest = blake2b(b"%d %d %d" % (seed, message_id, attempt), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big") / 2**32, int.from_bytes(digest[4:], "big") / 2**32


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError as error:
        raise FaultsError(f"rates: {name!r} is no fault; there are {', '.join(DRAWN)}") from error


def _is_number(value: object) -> bool:
    return type(value) in (int, float)
