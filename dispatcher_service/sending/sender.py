"""The sender: one libcurl multi loop in one thread, hundreds of provider calls in flight, on a line for each provider.

Driven by the readiness of sockets (`socket_action`), because `CurlMulti.select` is select(2), which ends at 1 024
descriptors. What may be started is decided at the last moment, before each call: the deadline, the lease, the rate
limit, the pace of the provider and the breaker.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock
from typing import Any

import pycurl

from dispatcher_service.sending.attempt import Attempt, Result
from dispatcher_service.sending.call import Kept
from dispatcher_service.sending.dialect import Failure
from dispatcher_service.sending.line import Line
from dispatcher_service.sending.sockets import READ, WRITE, Sockets
from shared.clock import ticks

_LOOK_AGAIN = 0.5


class Sender:
    """`deliver` is called with results as they come in, from the sender's thread; after the stop from any."""

    def __init__(self, lines: Sequence[Line], *, deliver: Callable[[Sequence[Result]], None]) -> None:
        self._lines = tuple(lines)
        self.lines: Mapping[str, Line] = {line.name: line for line in lines}
        """By the names of their providers."""
        self._deliver = deliver
        self._offered: deque[tuple[Line, Sequence[Attempt]]] = deque()
        self._multi = pycurl.CurlMulti()
        # else connections are closed and opened again all the time
        self._multi.setopt(pycurl.M_MAXCONNECTS, sum(line.concurrency for line in lines))
        # No M_TIMERFUNCTION: it would be called twice per call, and to ask once per turn of the loop is enough.
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._sockets = Sockets()
        self._kept = Kept(self._sockets)
        self._door = Lock()  # nothing is taken in after the stop, or the loop might leave it behind
        self._stop_at: float | None = None  # calls still in flight then are given up
        self._stopped = Event()

    # ---- from other threads

    def offer(self, line: Line, attempts: Sequence[Attempt]) -> None:
        """Takes attempts over; every one of them comes back as a Result, exactly once."""
        with self._door:
            if self._stop_at is None:
                line.offers += len(attempts)
                self._offered.append((line, attempts))
                self._sockets.wake()
                return
        now = ticks()
        self._deliver([Result(attempt, None, now) for attempt in attempts])

    @property
    def load(self) -> int:
        """Attempts in flight and unsent."""
        return sum(line.load for line in self._lines)

    @property
    def offered(self) -> int:
        """Attempts that were ever offered."""
        return sum(line.offers for line in self._lines)

    @property
    def begun(self) -> int:
        """Of these, from the first one on, how many were started or given back."""
        return sum(line.departures for line in self._lines)

    @property
    def speed(self) -> float:
        """Results per second, as far as there was something to do; 0 where there was nothing lately."""
        return sum(line.throughput.per_second for line in self._lines)

    @property
    def pause(self) -> float:
        """Seconds until a breaker allows the next call."""
        return min(line.pause for line in self._lines)

    def take_stuck(self) -> set[int]:
        """The mailings that get nowhere while others do, as far as they were not taken yet."""
        return {line.stuck.popleft() for line in self._lines for _ in range(len(line.stuck))}

    @property
    def outages(self) -> int:
        """How many outages of providers are over."""
        return sum(line.outages for line in self._lines)

    def stop(self, within: float) -> None:
        """Starts nothing any more; calls that are in flight after `within` seconds are given up as timed out."""
        with self._door:
            self._stop_at = ticks() + within
            self._sockets.wake()

    def join(self, timeout: float) -> bool:
        """Waits until everything has come back."""
        return self._stopped.wait(timeout)

    # ---- the loop

    def run(self) -> None:
        try:
            while not self._is_finished():
                resting = [line for line in self._lines if not line.calls and not line.waiting]
                rested_since = ticks() if resting else 0.0
                for descriptor, events in self._sockets.ready(self._patience()):
                    self._multi.socket_action(descriptor, _SELECTED[events])
                if resting:
                    rested = ticks() - rested_since
                    for line in resting:
                        line.throughput.rest(rested)
                if self._multi.timeout() == 0:
                    self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                self._collect()
                self._start()
                self._sockets.forget_rested()
        finally:
            self._close()
            self._stopped.set()

    def _close(self) -> None:
        for line in self._lines:
            line.close()
        self._multi.close()
        self._sockets.close()

    def _is_finished(self) -> bool:
        is_idle = not self._offered and not any(line.calls or line.waiting for line in self._lines)
        return self._stop_at is not None and is_idle

    def _patience(self) -> float:
        """How long the loop may sleep."""
        milliseconds = self._multi.timeout()
        patience = _LOOK_AGAIN if milliseconds < 0 else min(_LOOK_AGAIN, milliseconds / 1000)
        now = ticks()
        for line in self._lines:
            if line.waiting:
                patience = min(patience, line.patience(now))
        return max(0.0, patience)

    def _start(self) -> None:
        """Starts what may be started, and gives back what may not be sent any more."""
        while self._offered:
            line, attempts = self._offered.popleft()
            line.waiting.extend(attempts)
        waiting = [line for line in self._lines if line.waiting]
        if waiting:
            self._sockets.look()
        now = ticks()
        returned: list[Result] = []
        for line in waiting:
            returned += line.start(now, self._begin, is_stopping=self._stop_at is not None)
        if self._stop_at is not None and now >= self._stop_at:
            returned += self._give_up(now)
        if returned:
            self._deliver(returned)

    def _begin(self, line: Line, attempt: Attempt, now: float) -> None:
        self._multi.add_handle(line.call(attempt, now, self._opened, self._kept))

    def _collect(self) -> None:
        results: list[Result] = []
        ended: dict[Line, int] = defaultdict(int)
        now = ticks()
        left = sum(len(line.calls) for line in self._lines)
        while left:
            left, answered, broken = self._multi.info_read()
            for handle in answered:
                self._kept.add(handle)
                line = self._line_of(handle)
                answer = line.calls[handle].answer()
                self._multi.remove_handle(handle)
                results.append(line.finish(handle, answer, now))
                ended[line] += 1
            for handle, code, said in broken:
                line = self._line_of(handle)
                call = line.calls[handle]
                failure = call.failure(code)
                self._multi.remove_handle(handle)
                if code == pycurl.E_ABORTED_BY_CALLBACK and not call.was_repeated:
                    line.begin_anew(handle)
                    continue
                if failure is Failure.NOT_SENT:
                    line.tell(code, said, now)
                results.append(line.finish(handle, failure, now))
                ended[line] += 1
            if not answered and not broken:
                break
        for line, number in ended.items():
            line.count(number, now)
        if results:
            self._deliver(results)

    def _line_of(self, handle: pycurl.Curl) -> Line:
        """Of a call in flight. There are few lines, and mostly one."""
        for line in self._lines:
            if handle in line.calls:
                return line
        raise KeyError(handle)

    def _give_up(self, now: float) -> list[Result]:
        """Calls that outlast the shutdown: the provider may have taken them."""
        results = []
        for line in self._lines:
            for handle, call in list(line.calls.items()):
                failure = call.failure(pycurl.E_OPERATION_TIMEDOUT)
                self._multi.remove_handle(handle)
                results.append(line.finish(handle, failure, now))
        return results

    # ---- what libcurl asks for

    def _watch(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            self._sockets.rest(descriptor)
        else:
            self._sockets.watch(descriptor, _WATCHED[what])

    def _opened(self, descriptor: int, _purpose: int) -> int:
        self._sockets.opened(descriptor)
        return pycurl.SOCKOPT_OK


_WATCHED = {pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE, pycurl.POLL_INOUT: READ | WRITE}
_SELECTED = {
    READ: pycurl.CSELECT_IN,
    WRITE: pycurl.CSELECT_OUT,
    READ | WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
