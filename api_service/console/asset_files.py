"""/console/assets/"""

import gzip

from flask import Response

from api_service.console.assets import read
from api_service.console.pages import page
from api_service.web.parts import asked
from api_service.web.problems import NotFound

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@page("/assets/<digest>/<name>", scope=None)
def asset(digest: str, name: str) -> Response:
    """Also under the digest of another version: a page of the version before may ask for it during an update."""
    kind = _TYPES.get(name.rpartition(".")[2])
    try:
        content, present = read(name) if kind and name.isascii() and "/" not in name else (b"", "")
    except OSError:
        content = b""
    if not content or kind is None:
        raise NotFound("There is no such file.")
    keep = _FOREVER if digest == present else "no-cache"
    headers = {"Content-Type": kind, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if asked().accept_encodings.quality("gzip") > 0:
        return Response(content, headers=headers | {"Content-Encoding": "gzip"})
    return Response(gzip.decompress(content), headers=headers)
