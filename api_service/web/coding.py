"""`Content-Encoding` of a request: gzip, or nothing."""

import zlib
from collections.abc import Iterable, Iterator

from flask import Request

from api_service.web.problems import BrokenOff, TooLarge, WrongType

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 64 * 1024


def is_compressed(request: Request) -> bool:
    """Raises WrongType."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise WrongType("The content coding must be gzip, or none.", Accept_Encoding="gzip, identity")
    return coding != "identity"


def decoded(request: Request, pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The body as it is meant, from the pieces of it that come in. Memory does not depend on how well it is compressed.

    most: bytes of the result. Raises BrokenOff, TooLarge, WrongType.
    """
    return _unpacked(pieces, most) if is_compressed(request) else iter(pieces)


def _unpacked(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    inflating, given = zlib.decompressobj(_GZIP), 0
    for piece in pieces:
        rest = piece
        while rest:
            if inflating.eof:  # gzip files may be strung together
                inflating = zlib.decompressobj(_GZIP)
            try:
                data = inflating.decompress(rest, _PIECE)
            except zlib.error as error:
                raise BrokenOff("The body is not gzip, though its header says so.") from error
            rest = inflating.unused_data if inflating.eof else inflating.unconsumed_tail
            given += len(data)
            if given > most:
                raise TooLarge(f"The body has more than {_size(most)} when it is unpacked.")
            if data:
                yield data
    if not inflating.eof:
        raise BrokenOff("The body broke off before its end.")


def _size(number: int) -> str:
    return f"{number // 2**20} MiB" if number >= 2**20 else f"{number // 1024} KiB"
