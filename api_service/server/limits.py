"""What one client can use up, of one process. docs/security.md tells users."""

THREADS = 8

CONNECTIONS = 800
"""Below the usual limit of 1 024 open files."""
SPARE = 50
"""Connections that are kept free for clients that are not slow."""

MAX_LINE = 4094
MAX_FIELD = 8190
MAX_FIELDS = 64
MAX_HEAD = 32 * 1024
MAX_FRAMING = 512 * 1024
"""Bytes of a short body together with its chunks' sizes, extensions and trailers."""
MAX_CHUNK_LINE = 1024
MAX_TRAILER = 8 * 1024

TIMEOUT = 10.0
"""Seconds from the first moment of a connection, or the first byte of a further request on it, to the whole request."""
KEEPALIVE = 75.0
"""Seconds between two requests. Longer than clients keep an idle connection, so that it is they who close it."""
PATIENCE = 10.0
"""Seconds that a client has to take its answer …"""
LONGEST = 3600.0
"""… and never more than these, however much of it they have taken."""
UPLOAD_PATIENCE = 30.0
"""… or may keep the thread waiting that reads its file; with each, a second more for every `upload.SLOWEST` bytes."""

LINGER = 5.0
"""Seconds that what a client still sends is read after our last word …"""
LINGER_BYTES = 64 * 1024 * 1024
"""… and how much of it."""

RECEIVED = 64 * 1024
"""Bytes that are taken from a connection at a time."""
AHEAD = 512 * 1024
"""Bytes of a file that wait for the thread that reads it."""
UNREAD = 32 * 2**20
"""Bytes of an answer that wait for its client in a file. Only an export has more, of which there are few
(`web.export.AT_A_TIME`): its thread waits for the client then."""
UNSENT = 256 * 1024
"""Bytes of an answer that the kernel keeps for a client."""
