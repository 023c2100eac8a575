"""A visit to the console: somebody who has signed in, as the door sees them. Pure."""

from dataclasses import dataclass, field
from typing import Protocol

from api_service.web.key import Key
from api_service.web.refusal import Refusal

COOKIE = "console"


@dataclass(frozen=True, slots=True)
class Visit:
    """cookie: the token of the session. key: what it opens is what the session opens. form_token: what its forms
    carry, so that no other site can send one."""

    cookie: str = field(repr=False)
    key: Key
    form_token: str = field(repr=False)


class Sessions(Protocol):
    """Of the console. Each raises SQLAlchemyError: without the database nobody can say."""

    def open(self, given: str) -> Visit | Refusal:
        """A new one, of somebody who has given this key; or why there is none."""

    def find(self, cookie: str) -> Visit | Refusal:
        """The one of this token, or why it opens nothing."""

    def close(self, cookie: str) -> None:
        """It opens nothing any more, if it ever did."""
