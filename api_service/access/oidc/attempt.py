"""A sign-in under way. Pure.

All that has to be remembered comes from one random token, which is in a cookie of the browser that began it and nowhere
else: state, nonce and PKCE verifier are HMACs under it. So nothing is stored before somebody has signed in, every
process can finish what another has begun, and what one browser has begun no other can finish. Whoever changes the rest
of the cookie harms themselves alone.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

LASTS = timedelta(minutes=10)

_CLOCKS_DIFFER = 60  # seconds, of two machines: what one has begun another may finish
_LONGEST_PATH = 1000  # characters; a cookie has 4 KiB


@dataclass(frozen=True, slots=True)
class Attempt:
    """begun: in whole seconds of Unix time. back: the path to go on at. is_again: somebody who has signed in is to
    prove once more who they are."""

    token: str = field(repr=False)
    begun: int
    back: str = ""
    is_again: bool = False

    def cookie(self) -> str:
        return ".".join((self.token, str(self.begun), "again" if self.is_again else "new", quote(self.back, safe="")))

    def is_over(self, now: datetime) -> bool:
        return not -_CLOCKS_DIFFER <= now.timestamp() - self.begun <= LASTS.total_seconds()

    @property
    def state(self) -> str:
        return self._derived(b"state")

    @property
    def nonce(self) -> str:
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        return self._derived(b"verifier")

    def is_of(self, state: str) -> bool:
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def _derived(self, purpose: bytes) -> str:
        return hmac.new(self.token.encode(), purpose, hashlib.sha256).hexdigest()


def begin(now: datetime, back: str, *, is_again: bool = False) -> Attempt:
    return Attempt(
        secrets.token_urlsafe(32), int(now.timestamp()), back if len(back) <= _LONGEST_PATH else "", is_again
    )


def parsed(cookie: str) -> Attempt | None:
    """None for what `Attempt.cookie` has not made."""
    token, *rest = cookie.split(".", 3)
    if len(rest) != 3 or len(token) < 43 or not (rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < 12):
        return None
    return Attempt(token, int(rest[0]), unquote(rest[2]), rest[1] == "again")
