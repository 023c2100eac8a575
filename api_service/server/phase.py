"""What a connection waits for, and how long it may."""

import fcntl
import math
import socket
import sys
import termios
from enum import Enum

from api_service.server.limits import KEEPALIVE, LINGER, LONGEST, PATIENCE, TIMEOUT
from api_service.web.upload import SLOWEST


class Phase(Enum):
    REQUEST = "request"  # the rest of one
    NEXT = "next"  # a further one to begin
    THREAD = "thread"  # to answer it
    CLIENT = "client"  # to take the answer
    END = "end"  # the client to close


def patience(phase: Phase, taken: int) -> float:
    """Seconds. taken: bytes of the present answer that have reached the client."""
    match phase:
        case Phase.REQUEST:
            return TIMEOUT
        case Phase.NEXT:
            return KEEPALIVE
        case Phase.THREAD:
            return math.inf  # the application has limits of its own
        case Phase.CLIENT:
            return min(PATIENCE + taken / SLOWEST, LONGEST)
        case Phase.END:
            return LINGER


def on_the_way(sock: socket.socket) -> int:
    """Bytes that our kernel has taken and the client's has not."""
    try:
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:  # not on Linux
        return 0
