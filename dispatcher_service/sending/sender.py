"""The sender: one libcurl multi loop in one thread, hundreds of provider calls in flight.

Driven by the readiness of sockets (`socket_action`), because `CurlMulti.select` is select(2), which ends at 1 024
descriptors. What may be started is decided at the last moment, before each call: the deadline, the lease, the rate
limit, the pace of the provider and the breaker.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from threading import Event, Lock
from typing import Any

import pycurl

from dispatcher_service.sending.attempt import Attempt, Result
from dispatcher_service.sending.blame import Serving, blame
from dispatcher_service.sending.breaker import Breaker
from dispatcher_service.sending.call import Call, Kept
from dispatcher_service.sending.complaints import Complaints
from dispatcher_service.sending.dialect import Dialect, Failure
from dispatcher_service.sending.pace import Pace
from dispatcher_service.sending.sockets import READ, WRITE, Sockets
from dispatcher_service.sending.throughput import Throughput
from shared import metrics
from shared.clock import ticks
from shared.domain.profile.answer import Answer
from shared.domain.retry import Outcome
from shared.logs import logger
from shared.rates.paces import Trouble

AHEAD = 0.1
"""How many seconds' worth of messages may wait here beyond the calls in flight: enough to hide the time of a claim, and
so little that a pause or a cancel acts at once."""

_LONGEST_REASON = 200
_LEAST_AHEAD, _MOST_AHEAD = 4, 2000
_LOOK_AGAIN = 0.5

_BURST = 32
"""Calls that are begun between two looks at the answers. A fast provider has answered the first ones by then, and their
connections serve the next: each connection that is not needed takes some 16 kB of the processor's cache."""


class Sender:
    """`deliver` is called with results as they come in, from the sender's thread; after the stop from any."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        deliver: Callable[[Sequence[Result]], None],
        breaker: Breaker | None = None,
        pace: Pace | None = None,
    ) -> None:
        limits = dialect.provider.limits
        self._dialect = dialect
        self._timeout, self._concurrency = limits.timeout, limits.concurrency
        self._deliver = deliver
        self._breaker = breaker or Breaker()
        self._serving = Serving()
        self._stuck: deque[int] = deque()
        self._log = logger()
        self._unreachable = Complaints()
        self._offered: deque[Sequence[Attempt]] = deque()
        self._waiting: deque[Attempt] = deque()
        self._offers = 0  # attempts that came in; counted by those who offer
        self._departures = 0  # attempts that were started or given back; counted by the loop
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(
            pycurl.M_MAXCONNECTS, limits.concurrency
        )  # else connections are closed and opened again all the time
        # No M_TIMERFUNCTION: it would be called twice per call, and to ask once per turn of the loop is enough.
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._sockets = Sockets()
        self._idle: list[Call] = []
        self._calls: dict[pycurl.Curl, Call] = {}
        self._kept = Kept(self._sockets)
        self._pace = pace or Pace()
        self._throughput = Throughput(ticks())
        self._lasted = 0.0  # how long the last call that ended took
        self._too_much = Complaints()
        self._door = Lock()  # nothing is taken in after the stop, or the loop might leave it behind
        self._stop_at: float | None = None  # calls still in flight then are given up
        self._stopped = Event()

    # ---- from other threads

    def offer(self, attempts: Sequence[Attempt]) -> None:
        """Takes attempts over; every one of them comes back as a Result, exactly once."""
        with self._door:
            if self._stop_at is None:
                self._offers += len(attempts)
                self._offered.append(attempts)
                self._sockets.wake()
                return
        now = ticks()
        self._deliver([Result(attempt, None, now) for attempt in attempts])

    @property
    def room(self) -> int:
        """How many more attempts are welcome now."""
        if self._stop_at is not None:
            return 0
        now = ticks()
        allowed = self._breaker.allowed(now, len(self._calls))
        if allowed is not None:
            return max(0, allowed - self.unsent)
        ahead = min(_MOST_AHEAD, max(_LEAST_AHEAD, int(self._throughput.per_second * AHEAD)))
        room = self._concurrency + ahead - self.load
        return max(0, min(room, self._pace.ahead(now, len(self._calls), AHEAD) - self.unsent))

    @property
    def load(self) -> int:
        """Attempts in flight and unsent."""
        return len(self._calls) + self.unsent

    @property
    def unsent(self) -> int:
        """Attempts that were offered and neither started nor given back yet; an estimate."""
        return self._offers - self._departures

    @property
    def offered(self) -> int:
        """Attempts that were ever offered."""
        return self._offers

    @property
    def begun(self) -> int:
        """Of these, from the first one on, how many were started or given back."""
        return self._departures

    @property
    def speed(self) -> float:
        """Results per second, as far as there was something to do; 0 where there was nothing lately."""
        return self._throughput.per_second

    @property
    def pause(self) -> float:
        """Seconds until the breaker allows the next call."""
        return self._breaker.pause(ticks())

    @property
    def is_probing(self) -> bool:
        """Whether the next call is to find out how the provider is."""
        return self._breaker.is_open

    @property
    def trouble(self) -> Trouble | None:
        """What there is with the provider."""
        if self._breaker.is_open:
            return Trouble.DOWN
        return Trouble.LIMITED if self._pace.is_limited(ticks()) else None

    def take_stuck(self) -> set[int]:
        """The mailings that get nowhere while others do, as far as they were not taken yet."""
        return {self._stuck.popleft() for _ in range(len(self._stuck))}

    @property
    def outages(self) -> int:
        """How many of the provider's outages are over."""
        return self._breaker.outages

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
        metrics.CALLS_OPEN.set_function(lambda: len(self._calls))  # asked when somebody looks, not at every turn
        metrics.PROVIDER_PACE.set_function(lambda: self._pace.per_second if self._pace.per_second < inf else 0.0)
        try:
            while not self._is_finished():
                rested_since = None if self._calls or self._waiting else ticks()
                for descriptor, events in self._sockets.ready(self._patience()):
                    self._multi.socket_action(descriptor, _SELECTED[events])
                if rested_since is not None:
                    self._throughput.rest(ticks() - rested_since)
                if self._multi.timeout() == 0:
                    self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                self._collect()
                self._start()
                self._sockets.forget_rested()
        finally:
            self._close()
            self._stopped.set()

    def _close(self) -> None:
        for call in [*self._calls.values(), *self._idle]:
            call.handle.close()
        self._multi.close()
        self._sockets.close()

    def _is_finished(self) -> bool:
        return self._stop_at is not None and not self._calls and not self._waiting and not self._offered

    def _patience(self) -> float:
        """How long the loop may sleep."""
        milliseconds = self._multi.timeout()
        patience = _LOOK_AGAIN if milliseconds < 0 else min(_LOOK_AGAIN, milliseconds / 1000)
        if self._waiting and len(self._calls) < self._concurrency:
            now = ticks()
            patience = min(patience, max(self._waiting[0].not_before - now, self._pace.pause(now, len(self._calls))))
        return max(0.0, patience)

    def _start(self) -> None:
        """Starts what may be started, and gives back what may not be sent any more."""
        while self._offered:
            self._waiting.extend(self._offered.popleft())
        returned: list[Result] = []
        if self._waiting:
            self._sockets.look()
        now = ticks()
        most = min(self._concurrency, len(self._calls) + min(_BURST, self._pace.allowed(now, len(self._calls))))
        while self._waiting:
            attempt = self._waiting[0]
            allowed = 0 if self._stop_at is not None else self._breaker.allowed(now, len(self._calls))
            if allowed == 0 or now >= attempt.start_by or now + self._timeout > attempt.lease_until:
                returned.append(Result(attempt, None, now))
            elif len(self._calls) < most and now >= attempt.not_before:
                self._begin(attempt, now)
            else:
                break
            self._waiting.popleft()
            self._departures += 1
        if self._stop_at is not None and now >= self._stop_at:
            returned.extend(self._give_up(now))
        if returned:
            self._deliver(returned)

    def _begin(self, attempt: Attempt, now: float) -> None:
        call = self._idle.pop() if self._idle else Call(self._opened, self._kept, self._timeout)
        call.prepare(self._dialect, attempt, now)
        self._calls[call.handle] = call
        self._pace.begin(now, len(self._calls))
        self._multi.add_handle(call.handle)

    def _collect(self) -> None:
        results: list[Result] = []
        now = ticks()
        more = len(self._calls)
        while more:
            more, answered, broken = self._multi.info_read()
            for handle in answered:
                self._kept.add(handle)
                results.append(self._finish(handle, self._calls[handle].answer(), now))
            for handle, code, said in broken:
                if code == pycurl.E_ABORTED_BY_CALLBACK and not self._calls[handle].was_repeated:
                    self._begin_anew(handle)
                    continue
                failure = self._calls[handle].failure(code)
                if failure is Failure.NOT_SENT:
                    self._tell(code, said, now)
                results.append(self._finish(handle, failure, now))
            if not answered and not broken:
                break
        if results:
            self._throughput.count(len(results), now, self._lasted)
            self._deliver(results)

    def _finish(self, handle: pycurl.Curl, answer: Answer | Failure, now: float) -> Result:
        self._multi.remove_handle(handle)
        call = self._calls.pop(handle)
        self._idle.append(call)
        outcome = self._dialect.outcome(answer)
        self._observe(outcome, call.started, now)
        self._lasted = now - call.started
        metrics.CALL_SECONDS.observe(self._lasted)
        mailing_id = call.attempt.message.mailing_id
        self._serving.observe(mailing_id, outcome, now)
        if outcome.is_served:
            return Result(call.attempt, outcome, now)
        if self._serving.is_stuck(mailing_id, now):
            self._stuck.append(mailing_id)
        serves = self._serving.serves(mailing_id, call.attempt.called_before, now)
        return Result(call.attempt, outcome, now, blame(outcome, serves=serves))

    def _begin_anew(self, handle: pycurl.Curl) -> None:
        """Nothing was written: the connection was not fit for the call, or it is too late. The next connection may be
        fit, or is a new one; and the next look says whether it is too late."""
        self._multi.remove_handle(handle)
        call = self._calls.pop(handle)
        self._idle.append(call)
        self._waiting.appendleft(call.attempt)
        self._departures -= 1

    def _tell(self, code: int, said: str, now: float) -> None:
        """Why there is no connection: a certificate that nobody here trusts and a name that is none look alike in the
        figures. said: in libcurl's words, which have no more of the URL than host and port."""
        if times := self._unreachable.count(code, now):
            reason = "".join(filter(str.isprintable, said))[:_LONGEST_REASON]
            self._log.warning("provider_unreachable", reason=reason, code=code, times=times)

    def _observe(self, outcome: Outcome, started: float, now: float) -> None:
        self._observe_pace(outcome, started, now)
        before = self._breaker.reason
        self._breaker.observe(outcome, started, now)
        after = self._breaker.reason
        if after == before:
            return
        if before:
            metrics.BREAKER_OPEN.labels(before).set(0)
        if after:
            metrics.BREAKER_OPEN.labels(after).set(1)
            self._log.warning("breaker_opened", reason=after, words=outcome.words, pause=self._breaker.pause(now))
        else:
            self._pace.resume(now)
            self._log.info("breaker_closed", reason=before)

    def _observe_pace(self, outcome: Outcome, started: float, now: float) -> None:
        if not self._pace.observe(outcome, started, now):
            return
        metrics.PACE_FALLS.inc()
        if times := self._too_much.count(0, now):
            self._log.info(
                "provider_limits",
                pace=round(self._pace.per_second, 1),
                pause=round(self._pace.pause(now, len(self._calls)), 1),
                times=times,
            )

    def _give_up(self, now: float) -> list[Result]:
        """Calls that outlast the shutdown: the provider may have taken them."""
        calls = list(self._calls.values())
        return [self._finish(call.handle, call.failure(pycurl.E_OPERATION_TIMEDOUT), now) for call in calls]

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
