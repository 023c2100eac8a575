"""What a dialect of the simulator is, and what most of them need. Pure."""

import base64
import json
from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulator.http1 import BadRequest, Request


class Heard(NamedTuple):
    """A request that keeps the contract. id: where the dialect has none of ours, the phone. sender, validity,
    receipt_url: as they came; empty without one."""

    id: int
    phone: int
    text: str
    sender: str = ""
    validity: str = ""
    receipt_url: str = ""


class Trouble(StrEnum):
    """What every provider can say, each in its own words."""

    BROKEN = "broken"  # the request does not keep the contract
    UNAUTHORIZED = "unauthorized"
    UNPAID = "unpaid"
    REFUSED = "refused"  # this message, for good
    LIMITED = "limited"
    DECLINED = "declined"  # not now


class Dialect(ABC):
    """One way to speak. prefix: what its addresses begin with."""

    prefix: str

    @abstractmethod
    def read(self, request: Request, token: str | None) -> Heard:
        """Raises BadRequest. token: the secret that it must have; None: any will do."""

    @abstractmethod
    def ok(self, heard: Heard) -> bytes:
        """The answer that says that it was taken."""

    @abstractmethod
    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        """The answer that says that it was not."""

    def refusal(self, trouble: Trouble, why: str) -> BadRequest:
        answer = self.no(trouble, why)
        return BadRequest(int(answer[9:12]), why, answer)


def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of equal ones the last."""
    return _fields(request.body.decode("ascii", "replace"))


def query_of(request: Request) -> dict[str, str]:
    return _fields(urlsplit(request.path).query)


def document_of(request: Request) -> Any:
    """None: it is no JSON."""
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        return None


def password_of(request: Request) -> str | None:
    """Of basic authentication."""
    kind, _, pair = request.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(pair, validate=True).decode().partition(":")[2] if kind == "Basic" else None
    except ValueError:
        return None


def phone_of(text: str) -> int | None:
    """In digits, with or without +."""
    digits = text.removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdecimal() and 10 <= len(digits) <= 15 else None


def is_between(text: str, least: int, most: int) -> bool:
    """Whether it is a whole number from the least to the most."""
    return text.isascii() and text.isdecimal() and len(text) < 15 and least <= int(text) <= most


def at(document: Any, *path: str | int) -> Any:
    """What stands there; None where nothing does."""
    for step in path:
        try:
            document = document[step]
        except (LookupError, TypeError):
            return None
    return document


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        return {}
