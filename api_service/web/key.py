"""What an API key is, and what it allows. Pure.

    nsk_0f3a9c21b7de_Xq5…       prefix, id, secret

The id is public: it names the key in lists and logs. The secret is 32 random bytes, so a plain SHA-256 of it is enough
to store: a slow hash makes up for secrets that can be guessed, and random ones of this size cannot be, however fast one
tries; it would only make every request slow. The prefix lets scanners of source code find a key that was committed by
mistake.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from api_service.web.refusal import Refusal

_SHAPE = re.compile(r"nsk_([0-9a-f]{12})_([A-Za-z0-9_-]{32,86})")


class Scope(StrEnum):
    """Each allows what those before it do, and more."""

    READ = "read"  # look at clients, mailings, statistics
    TEST = "test"  # make and change mailings, which are tests then; it sees no other ones
    WRITE = "write"  # create, change and delete them; pause, resume, cancel
    ADMIN = "admin"  # list and revoke keys

    def allows(self, wanted: "Scope") -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


@dataclass(frozen=True, slots=True)
class Token:
    """A whole key, as its owner has it."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"nsk_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.id})"  # the secret must not get into a traceback

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key."""

    id: str
    scope: Scope
    digest: bytes
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    name: str = ""

    @property
    def by(self) -> str:
        """As the audit names whoever acts with it."""
        return f"key {self.id}"

    def refusal(self, token: Token, now: datetime) -> Refusal | None:
        """Why it does not open to that token; None: it does. What became of a key is for those who have its secret."""
        if not hmac.compare_digest(self.digest, token.digest):
            return Refusal.WRONG_SECRET
        return self.end(now)

    def end(self, now: datetime) -> Refusal | None:
        """Why it opens nothing any more; None: it does."""
        if self.revoked_at is not None:
            return Refusal.REVOKED
        return Refusal.EXPIRED if self.expires_at is not None and self.expires_at <= now else None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in without a key. id: ours, of the shape that keys' ids have. name: for people; it is
    theirs, and no audit or log has it."""

    id: str
    scope: Scope
    name: str = ""

    @property
    def by(self) -> str:
        """As the audit names them."""
        return f"person {self.id}"


Caller = Key | Person
"""Whoever may do something."""


class Keyring(Protocol):
    """All keys at hand."""

    def find(self, token: Token, fresh: float = ...) -> Key | Refusal:
        """The key that this token is, or why it opens nothing. Raises SQLAlchemyError: without the database nobody can
        say.

        fresh: how many seconds ago the keys may have been read; a few, where it is left out.
        """

    def named(self, key_id: str, fresh: float = ...) -> Key | Refusal:
        """The same of a key whose secret was shown before."""


def new() -> Token:
    return Token(secrets.token_hex(6), secrets.token_urlsafe(32))


def parsed(text: str) -> Token | None:
    """None for what cannot be a key."""
    match = _SHAPE.fullmatch(text)
    return Token(match[1], match[2]) if match else None
