"""What the server itself refuses, before the application sees it: the answer, the line in the log, the metric."""

import json
import logging
from dataclasses import dataclass

from werkzeug.http import HTTP_STATUS_CODES

from api_service.web.problems import Problem, TooMany, TooSlow, Unavailable
from api_service.web.request_log import RequestLog
from shared.metrics import REFUSED, begin


@dataclass(frozen=True, slots=True)
class Refusal:
    """reason: one of few words, for log and metric. message: for the client."""

    problem: type[Problem]
    reason: str
    message: str

    def __post_init__(self) -> None:
        begin(REFUSED, [self.reason])

    @property
    def status(self) -> int:
        return int(self.problem.status)

    def note(self, log: RequestLog, address: str, request_id: str) -> None:
        REFUSED.labels(self.reason).inc()
        fields = {"address": address, "status": self.status, "reason": self.reason, "request_id": request_id}
        log.write(logging.INFO, "refused", address, ("refused", self.status, self.reason), **fields)

    def answer(self, request_id: str) -> bytes:
        """In the shape of all other errors. The connection ends with it."""
        name = HTTP_STATUS_CODES[self.status]
        error = {"type": self.problem.type, "code": self.status, "status": name, "message": self.message, "errors": {}}
        body = json.dumps(error).encode()
        head = (
            f"HTTP/1.1 {self.status} {name}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


TOO_LATE = Refusal(TooSlow, "late", "The request did not arrive in time.")
TOO_SLOW = Refusal(TooSlow, "slow_reader", "The answer was taken too slowly.")
TOO_MANY = Refusal(TooMany, "address", "There are too many connections from this address.")
FULL = Refusal(Unavailable, "full", "There are too many connections.")
