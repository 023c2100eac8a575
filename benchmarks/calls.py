"""POST requests as fast as one thread can make them: a bare libcurl loop, without any of the sender's guarantees."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pycurl

IN_FLIGHT = 32
TIMEOUT = 10
_NOTHING_YET = 0.001


@dataclass(slots=True)
class Call:
    """about: whatever the caller wants to know it by. key: of an `Idempotency-Key`. status: 0 without an answer.
    seconds: until the answer."""

    url: str
    body: bytes
    about: Any = None
    key: str = ""
    status: int = 0
    seconds: float = 0.0


def make(
    calls: Iterator[Call | None], done: Callable[[Call, bytes], None], *, token: str, in_flight: int = IN_FLIGHT
) -> None:
    """Makes all the calls and hands each, with the body of its answer, to `done`; None: there is nothing to do yet."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, in_flight)
    idle = [_Handle(token) for _ in range(in_flight)]
    busy: dict[pycurl.Curl, _Handle] = {}
    exhausted = False
    while busy or not exhausted:
        while idle and not exhausted:
            try:
                call = next(calls)
            except StopIteration:
                exhausted = True
                break
            if call is None:
                break
            handle = idle.pop()
            handle.begin(call)
            busy[handle.curl] = handle
            multi.add_handle(handle.curl)
        if not busy:
            time.sleep(_NOTHING_YET)
            continue
        multi.perform()
        _, answered, broken = multi.info_read()
        for curl in [*answered, *(failure[0] for failure in broken)]:
            multi.remove_handle(curl)
            handle = busy.pop(curl)
            idle.append(handle)
            done(*handle.end())
        if not answered and not broken:
            multi.select(0.01)
    for handle in idle:
        handle.curl.close()
    multi.close()


def rate(url: str, count: int, *, token: str) -> float:
    """How many calls per second a provider takes when nothing else is done."""
    calls = (Call(f"{url}/v1/send/{number}", _BODY % number) for number in range(1, count + 1))
    answered = []
    started = time.monotonic()
    make(calls, lambda call, _: answered.append(call.status == 200), token=token)
    seconds = time.monotonic() - started
    assert sum(answered) == count, "The provider did not accept all calls."
    return count / seconds


_BODY = b'{"id": %d, "phone": 79001234567, "text": "Hello, client! Sale starts tomorrow at 10:00."}'


class _Handle:
    def __init__(self, token: str) -> None:
        self._headers = ["Content-Type: application/json", f"Authorization: Bearer {token}", "Expect:"]
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.HTTPHEADER, self._headers)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.TIMEOUT, TIMEOUT)

    def begin(self, call: Call) -> None:
        self._call = call
        self._answer = io.BytesIO()
        self.curl.setopt(pycurl.URL, call.url)
        if call.key:
            self.curl.setopt(pycurl.HTTPHEADER, [*self._headers, f"Idempotency-Key: {call.key}"])
        self.curl.setopt(pycurl.POSTFIELDS, call.body)
        self.curl.setopt(pycurl.WRITEDATA, self._answer)

    def end(self) -> tuple[Call, bytes]:
        call = self._call
        call.status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        call.seconds = self.curl.getinfo(pycurl.TOTAL_TIME)
        return call, self._answer.getvalue()
