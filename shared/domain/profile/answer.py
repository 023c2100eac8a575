"""An answer of a provider, and what is kept of its words. Pure."""

from typing import NamedTuple

from shared.domain.masking import without_phones
from shared.domain.retry import MAX_WORDS

MAX_BODY = 64 * 1024
"""An answer that is longer, in bytes, is no answer."""


class Answer(NamedTuple):
    """status: of HTTP. body: at most MAX_BODY bytes. retry_after: of the header, in seconds; 0 without one."""

    status: int
    body: bytes
    retry_after: float = 0.0


def words(body: bytes) -> str:
    """What the provider said, for people: its printable characters, at most MAX_WORDS bytes of them. A phone in them is
    masked: they are kept for longer than a client may be."""
    said = body[: 4 * MAX_WORDS].decode("utf-8", "replace")
    said = " ".join("".join(each if each.isprintable() else " " for each in said).split())
    return without_phones(said).encode()[:MAX_WORDS].decode("utf-8", "ignore")
