"""What pages are made of besides themselves: style sheets and scripts, from this host alone.

Those of others are copies of their published packages, of the version that their name tells; README.txt beside them has
where they come from and their licences. An address holds a digest of the content, so browsers may keep it for ever.
"""

import gzip
import hashlib
from functools import lru_cache
from importlib.resources import files

from api_service.web.parts import asked


@lru_cache(maxsize=64)
def read(name: str) -> tuple[bytes, str]:
    """Packed, and a digest. Raises FileNotFoundError."""
    content = files("api_service.console").joinpath("assets", name).read_bytes()
    return gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:12]


def address(name: str) -> str:
    return f"{asked().script_root}/console/assets/{read(name)[1]}/{name}"
