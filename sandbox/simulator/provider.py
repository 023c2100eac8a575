"""The provider: its contract, its state, and how each fault looks on the wire."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from sandbox.simulator.dialects import DIALECTS, SEED, dialect_of
from sandbox.simulator.dialects.base import Dialect, Heard, Trouble
from sandbox.simulator.faults import ACCEPTING, CONFIRMING, Fault, Faults, chances
from sandbox.simulator.http1 import BadRequest, Connection, Request, json_response, response
from sandbox.simulator.outage import Mode, Outage
from sandbox.simulator.receipts import Receipts
from sandbox.simulator.records import Record, Records

_OK = json_response(200, {"code": 0, "message": "OK"})
_WITHOUT_BODY = (204, 205, 304)
_SERVER_ERRORS = (500, 502, 503, 504)
_BURST = 0.2
"""Seconds' worth of requests that are taken at once where it takes only so many a second."""
_ENDLESS = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"code": 0, "message": "OK"}'


class Provider:
    """What the connections share, and what the control API shows and changes."""

    def __init__(
        self, seed: int, token: str | None = None, faults: Faults | None = None, receipts: Receipts | None = None
    ) -> None:
        """receipts: None: it sends none."""
        self.seed = seed
        self.token = token
        self.receipts = receipts
        self.faults = faults or Faults()
        self.outage: Outage | None = None
        self.connections: set[ProviderConnection] = set()
        self._free_at = 0.0  # when the requests that were taken have been worked off
        self.forget()

    def forget(self) -> None:
        """Begins anew with the records and counts."""
        self.records = Records()
        self.fates: Counter[str] = Counter()  # requests by fault; `outage` for those in one
        self.broken: Counter[int] = Counter()  # requests that break the contract, by status

    def receive(self, message_id: int, text: str) -> tuple[Record, Fault | Outage, float]:
        """Records a request; its fate, and the seconds until the answer."""
        now = time.time()
        record = self.records.receive(message_id, now)
        if self.outage:
            self.fates["outage"] += 1
            return record, self.outage, 0
        record.attempts += 1
        which, when = chances(self.seed, message_id, record.attempts)
        fault = self.faults.choose(which, message_id, record.hits, text)
        if fault in ACCEPTING and self._is_too_much():
            fault = Fault.RATE_LIMITED
        record.hits += fault is not Fault.NONE
        self.fates[fault] += 1
        if fault in ACCEPTING:
            self.records.accept(record, now)
            if self.receipts:
                self.receipts.accepted(message_id)
        return record, fault, self.faults.delay(when)

    def _is_too_much(self) -> bool:
        """Whether a request comes too soon after the others; else it is one of them."""
        rate, now = self.faults.takes_per_second, time.monotonic()
        if rate is None:
            return False
        free_at = max(self._free_at, now)
        if free_at - now > _BURST:
            return True
        self._free_at = free_at + 1 / rate
        return False

    def summary(self) -> dict[str, object]:
        """See `control.Summary`."""
        records = self.records
        return {
            "seed": self.seed,
            "requests": self.fates.total() + self.broken.total(),
            "received": len(records),
            "accepted": records.accepted,
            "doubled": records.doubled,
            "overlapping": records.overlapping,
            "resent": records.resent,
            "faults": dict(self.fates),
            "broken": {str(status): count for status, count in self.broken.items()},
            "outage": self.outage.mode if self.outage else None,
            "last_received_at": records.last_received_at,
            "last_accepted_at": records.last_accepted_at,
        }


def heard(request: Request, token: str | None) -> tuple[Dialect, Heard]:
    """A request that keeps the contract of a dialect. Raises BadRequest."""
    dialect = dialect_of(request.path)
    if dialect is None:
        raise BadRequest(404, f"there are {', '.join(known.prefix for known in DIALECTS)}")
    return dialect, dialect.read(request, token)


class ProviderConnection(Connection):
    """One connection of a dispatcher."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider
        self._record: Record | None = None  # of the open request
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._provider.connections.add(self)
        if self._provider.outage and self._provider.outage.mode is Mode.REFUSE:
            self.reset()  # it was accepted just before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._provider.connections.discard(self)
        if self._timer:
            self._timer.cancel()
        if self._record:
            self._record.open -= 1

    def leave(self) -> None:
        """The provider goes away: an open request is reset. An answer that is on its way still arrives, or the records
        would call a message confirmed whose answer nobody got."""
        if self._record:
            self.reset()
        else:
            self.transport.close()

    def handle(self, request: Request) -> bytes | None:
        dialect, said = heard(request, self._provider.token)
        record, fate, delay = self._provider.receive(said.id, said.text)
        self._record = record
        record.phone, record.sender, record.validity = said.phone, said.sender, said.validity
        answer = partial(self._answer, dialect, said, record, fate)
        if delay:
            self._timer = asyncio.get_running_loop().call_later(delay, self._late, answer)
            return None
        return answer()

    def refuse(self, error: BadRequest) -> bytes:
        self._provider.broken[error.status] += 1
        return super().refuse(error)

    def _late(self, make: Callable[[], bytes | None]) -> None:
        self._timer = None
        if self.transport.is_closing():
            return  # reset in this very turn of the loop: nobody gets the answer
        answer = make()
        if answer is not None:
            self.reply(answer)

    def _answer(self, dialect: Dialect, said: Heard, record: Record, fate: Fault | Outage) -> bytes | None:
        if isinstance(fate, Outage):
            return None if fate.mode is Mode.HANG else self._closed(record, _error(503))
        match fate:
            case Fault.HANG | Fault.ACCEPT_HANG:
                return None
            case Fault.ENDLESS:
                self.keep_alive = False
                self.stream(_endless())
                return None
            case Fault.RESET | Fault.ACCEPT_RESET:
                self.reset()
                return None
            case Fault.TRUNCATED:
                self.keep_alive = False
        record.confirmed += fate in CONFIRMING
        if dialect is not SEED and fate in _IN_OTHER_WORDS:
            trouble = _IN_OTHER_WORDS[fate]
            return self._closed(record, dialect.no(trouble) if trouble else dialect.ok(said))
        return self._closed(record, _body(fate, said.id, record.attempts, self._provider.faults))

    def _closed(self, record: Record, answer: bytes) -> bytes:
        """The client waits no longer."""
        self._record = None
        record.open -= 1
        return answer


_IN_OTHER_WORDS = {
    Fault.NONE: None,
    Fault.BAD_REQUEST: Trouble.REFUSED,
    Fault.UNAUTHORIZED: Trouble.UNAUTHORIZED,
    Fault.RATE_LIMITED: Trouble.LIMITED,
    Fault.WRONG_CODE: Trouble.DECLINED,
}
"""What each dialect says in its own words; None: that it was taken. The other faults look the same in all."""


def _body(fault: Fault, message_id: int, attempt: int, faults: Faults) -> bytes:
    match fault:
        case Fault.STATUS:
            status = faults.status or 500
            return response(status, b"") if status in _WITHOUT_BODY else _error(status)
        case Fault.SERVER_ERROR:
            return _error(_SERVER_ERRORS[(message_id + attempt) % len(_SERVER_ERRORS)])
        case Fault.RATE_LIMITED:
            return _error(429, f"Retry-After: {faults.retry_after}\r\n")
        case Fault.REDIRECT:
            return response(307, b"", f"Location: /v1/moved/{message_id}\r\n")
        case Fault.OTHER_ID:
            return json_response(200, {"code": 0, "message": "OK", "id": message_id + 1})
    return _FIXED[fault]


def _error(status: int, headers: str = "") -> bytes:
    return json_response(status, {"code": status, "message": "simulated"}, headers)


def _endless() -> Iterator[bytes]:
    yield _ENDLESS
    yield from itertools.repeat(b" " * 65536, 1024)


_FIXED = {
    Fault.NONE: _OK,
    Fault.BAD_REQUEST: _error(400),
    Fault.UNAUTHORIZED: _error(401),
    Fault.NOT_JSON: response(200, b"<!doctype html><title>It works!</title>", content_type="text/html"),
    Fault.POISON: json_response(500, {"code": 500, "message": "this text breaks the provider"}),
    Fault.NO_CODE: json_response(200, {"status": "queued"}),
    Fault.CREATED: response(201, b"Created", content_type="text/plain"),
    Fault.CONTRADICTION: response(200, b'{"code": 7, "code": 0, "message": "OK"}'),
    Fault.WRONG_CODE: json_response(200, {"code": 7, "message": "the queue is full"}),
    Fault.TRUNCATED: _OK.replace(b"Content-Length: ", b"Content-Length: 9"),
}
