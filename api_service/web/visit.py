"""A visit to the console: somebody who has signed in, as the door sees them. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from api_service.web.key import Caller
from api_service.web.refusal import Refusal

COOKIE = "console"


@dataclass(frozen=True, slots=True)
class Visit:
    """cookie: the token of the session. key: what it opens is what the session opens; a person has none, and opens what
    their groups allow. form_token: what its forms carry, so that no other site can send one. authenticated_at: when
    they last proved who they are; None: nobody has said."""

    cookie: str = field(repr=False)
    key: Caller
    form_token: str = field(repr=False)
    authenticated_at: datetime | None = None

    def signed_in_since(self, now: datetime) -> float:
        """Seconds since they last proved who they are; infinity where nobody has said. What cannot be taken back may
        ask that these are few, and else send them to `/console/sign-in/provider/?again=yes&next=…`, where a person
        proves it once more."""
        return float("inf") if self.authenticated_at is None else (now - self.authenticated_at).total_seconds()


class Sessions(Protocol):
    """Of the console. Each raises SQLAlchemyError: without the database nobody can say."""

    def open(self, given: str) -> Visit | Refusal:
        """A new one, of somebody who has given this key; or why there is none."""

    def find(self, cookie: str) -> Visit | Refusal:
        """The one of this token, or why it opens nothing."""

    def close(self, cookie: str) -> str | None:
        """It opens nothing any more, if it ever did. Returns the ID token that it began with, if it did with one."""
