"""What a profile says of a provider, checked. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.domain.profile.receipts import Receipts
from shared.domain.profile.rules import Rule, Spot
from shared.domain.profile.template import Template

LONGEST_SENDER = 32
"""Characters of a sender id."""

Fields = tuple[tuple[str, Template], ...]


class Source(StrEnum):
    """Where a secret is found."""

    ENV = "env"  # a variable of the environment
    FILE = "file"  # read again while the process runs
    GIVEN = "given"  # by a setting


@dataclass(frozen=True, slots=True)
class Secret:
    """where: the variable, the path, or with GIVEN the secret itself. place: where the profile names it."""

    source: Source
    where: str = field(repr=False)
    place: str = ""


@dataclass(frozen=True, slots=True)
class Basic:
    """Basic authentication."""

    user: Template
    password: Template


@dataclass(frozen=True, slots=True)
class Form:
    """A body of fields, application/x-www-form-urlencoded."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class Json:
    """A body in JSON. value: of objects, lists, templates, and plain numbers, booleans, nulls."""

    value: Any


@dataclass(frozen=True, slots=True)
class Request:
    """How a message is put to the provider. body: None: there is none, as with GET."""

    url: Template
    method: str = "POST"
    query: Fields = ()
    headers: Fields = ()
    basic: Basic | None = None
    body: Form | Json | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is read: the first rule that holds says what it means; without one its HTTP status does.

    reference: where the provider's id of the message stands. reason: where it says in words what is wrong; None: all
    of the answer does.
    """

    rules: tuple[Rule, ...] = ()
    reference: Spot | None = None
    reason: Spot | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """timeout: seconds for one call. concurrency: calls open at once, of one dispatcher. rate: messages per second over
    all dispatchers; 0: no limit. validity: the least and the most seconds that the provider takes."""

    timeout: float = 10.0
    concurrency: int = 256
    rate: float = 0.0
    validity: tuple[int, int] = (1, 31 * 86400)


@dataclass(frozen=True, slots=True)
class Routing:
    """operator_codes: whose messages it gets before others; none: no special ones. weight: its part of the others; 0:
    it gets none of them."""

    operator_codes: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Provider:
    """One gateway. senders: the sender ids that it may be given, the first one where a mailing names none; with none of
    them a message has no sender. values, secrets: what else the templates name, by name. alphabet: what `{alphabet}`
    stands for with a text in GSM-7 and with any other. receipts: None: it sends none."""

    name: str
    request: Request
    reading: Reading
    limits: Limits = Limits()
    routing: Routing = Routing()
    senders: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    alphabet: tuple[str, str] | None = None
    receipts: Receipts | None = None

    @property
    def sender(self) -> str | None:
        """That of messages whose mailing names none."""
        return self.senders[0] if self.senders else None

    def may_send(self, sender: str | None) -> bool:
        """Whether it may be given a mailing's sender; None: the mailing names none."""
        return sender is None or sender in self.senders


class Providers:
    """All that this deployment has, in the order of its file."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._by_name = {provider.name: provider for provider in providers}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Provider | None:
        return self._by_name.get(name)

    @property
    def names(self) -> list[str]:
        return list(self._by_name)


NO_PROVIDERS = Providers(())
