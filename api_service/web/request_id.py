"""The id under which a request is found in the log."""

import random
import re

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(given: str | None) -> str:
    """The one that the client gave in `X-Request-ID`, if it is one, or a new one."""
    if given and _ID.fullmatch(given):
        return given
    # No secret: it need not come from the kernel, which each time lets another thread have the interpreter.
    return f"{random.getrandbits(128):032x}"
