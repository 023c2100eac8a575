"""A line: what one dispatcher has of one provider. Its calls, what waits for them, and how the provider does.

Written by the sender's thread; `hold` is for the recorder's, and whatever others read of it is an estimate.
"""

from collections import deque
from collections.abc import Callable
from math import inf

import pycurl

from dispatcher_service.sending.attempt import Attempt, Result
from dispatcher_service.sending.blame import Serving, blame
from dispatcher_service.sending.breaker import Breaker
from dispatcher_service.sending.call import Call, Kept
from dispatcher_service.sending.complaints import Complaints
from dispatcher_service.sending.dialect import Dialect, Failure
from dispatcher_service.sending.lately import Lately
from dispatcher_service.sending.pace import Pace
from dispatcher_service.sending.throughput import Throughput
from shared import metrics
from shared.clock import ticks
from shared.domain.profile.answer import Answer
from shared.domain.retry import Outcome, OutcomeKind
from shared.domain.seen import Seen
from shared.logs import logger

AHEAD = 0.1
"""How many seconds' worth of messages may wait here beyond the calls in flight: enough to hide the time of a claim, and
so little that a pause or a cancel acts at once."""

_LONGEST_REASON = 200
_LEAST_AHEAD, _MOST_AHEAD = 4, 2000

_BURST = 32
"""Calls that are begun between two looks at the answers. A fast provider has answered the first ones by then, and their
connections serve the next: each connection that is not needed takes some 16 kB of the processor's cache."""


class Line:
    """Belongs to the thread of its sender."""

    def __init__(self, dialect: Dialect, *, breaker: Breaker | None = None, pace: Pace | None = None) -> None:
        limits = dialect.provider.limits
        self.name = dialect.provider.name
        self.dialect = dialect
        self.timeout, self.concurrency = limits.timeout, limits.concurrency
        self.waiting: deque[Attempt] = deque()
        self.calls: dict[pycurl.Curl, Call] = {}
        self.offers = 0  # attempts that came in; counted by those who offer
        self.departures = 0  # attempts that were started or given back; counted by the loop
        self.later: int | None = None  # attempts whose moment by a limit has not come; None: there is no limit
        self.stuck: deque[int] = deque()  # mailings that get nowhere while others do
        self.throughput = Throughput(ticks())
        self.is_held = False  # by a person: nothing is begun
        self._breaker = breaker or Breaker()
        self._pace = pace or Pace()
        self._serving = Serving()
        self._lately = Lately()
        self._opened_at = 0.0  # while the breaker is open
        self._unreachable, self._too_much = Complaints(), Complaints()
        self._idle: list[Call] = []
        self._lasted = 0.0  # how long the last call that ended took
        self._log = logger()
        metrics.begin(metrics.ATTEMPTS, [self.name], OutcomeKind)
        metrics.begin(metrics.PACE_FALLS, [self.name])
        self._seconds = metrics.CALL_SECONDS.labels(self.name)
        metrics.CALLS_OPEN.labels(self.name).set_function(lambda: len(self.calls))  # asked when somebody looks
        metrics.CALLS_ALLOWED.labels(self.name).set(limits.concurrency)
        metrics.PROVIDER_PACE.labels(self.name).set_function(lambda: self.pace or 0.0)
        metrics.PROVIDER_LIMIT.labels(self.name).set(limits.rate)

    # ---- how it does, for any thread

    @property
    def room(self) -> int:
        """How many more attempts are welcome now."""
        if self.is_held:
            return 0
        now = ticks()
        allowed = self._breaker.allowed(now, len(self.calls))
        if allowed is not None:
            return max(0, allowed - self.unsent)
        per_second = self.throughput.per_second
        if self.later is not None:  # results come in as fast as the limit is, which says nothing of the provider
            per_second = max(per_second, self.concurrency / (self._lasted or inf))
        ahead = min(_MOST_AHEAD, max(_LEAST_AHEAD, int(per_second * AHEAD)))
        due, calls = max(0, self.unsent - (self.later or 0)), len(self.calls)
        return max(0, min(self.concurrency + ahead - calls, self._pace.ahead(now, calls, AHEAD)) - due)

    @property
    def load(self) -> int:
        """Attempts in flight and unsent."""
        return len(self.calls) + self.unsent

    @property
    def unsent(self) -> int:
        """Attempts that were offered and neither started nor given back yet."""
        return self.offers - self.departures

    @property
    def pause(self) -> float:
        """Seconds until the breaker allows the next call."""
        return self._breaker.pause(ticks())

    @property
    def is_probing(self) -> bool:
        """Whether the next call is to find out how the provider is."""
        return self._breaker.is_open

    @property
    def pace(self) -> float | None:
        """Calls per second that the provider was found to take; None: all there were."""
        return None if self._pace.per_second == inf else self._pace.per_second

    @property
    def outages(self) -> int:
        """How many of the provider's outages are over."""
        return self._breaker.outages

    @property
    def open(self) -> str | None:
        """Why the breaker is; None: it is closed."""
        reason = self._breaker.reason
        return reason and str(reason)

    def seen(self, *, is_short: bool) -> Seen:
        """What others are told of it. is_short: a limit allows no more than it gets."""
        now, reason, pace = ticks(), self.open, self.pace
        calls, failed, seconds = self._lately.sums(now)
        return {
            "open": reason,
            "open_for": round(now - self._opened_at, 1) if reason else 0.0,
            "pace": None if pace is None else round(pace, 1),
            "limited": self._pace.is_limited(now),
            "speed": round(self.throughput.per_second, 1),
            "calls": calls,
            "failed": failed,
            "seconds": round(seconds, 3),
            "full": is_short or self.room <= 0,
        }

    # ---- the loop's

    def patience(self, now: float) -> float:
        """Seconds until there may be something to do without an answer; `inf`: nothing."""
        if not self.waiting or len(self.calls) >= self.concurrency:
            return inf
        return max(self.waiting[0].not_before - now, self._pace.pause(now, len(self.calls)))

    def start(self, now: float, begin: Callable[["Line", Attempt, float], None], *, is_stopping: bool) -> list[Result]:
        """Begins what may be begun; gives what may not be sent any more."""
        returned: list[Result] = []
        most = min(self.concurrency, len(self.calls) + min(_BURST, self._pace.allowed(now, len(self.calls))))
        is_closed = is_stopping or self.is_held
        while self.waiting:
            attempt = self.waiting[0]
            allowed = 0 if is_closed else self._breaker.allowed(now, len(self.calls))
            if allowed == 0 or now >= attempt.start_by or now + self.timeout > attempt.lease_until:
                returned.append(Result(attempt, None, now))
            elif len(self.calls) < most and now >= attempt.not_before:
                begin(self, attempt, now)
            else:
                break
            self.waiting.popleft()
            self.departures += 1
        return returned

    def call(self, attempt: Attempt, now: float, opened: Callable[[int, int], int], kept: Kept) -> pycurl.Curl:
        """A call that is ready to be made."""
        call = self._idle.pop() if self._idle else Call(opened, kept, self.timeout)
        call.prepare(self.dialect, attempt, now)
        self.calls[call.handle] = call
        self._pace.begin(now, len(self.calls))
        return call.handle

    def finish(self, handle: pycurl.Curl, answer: Answer | Failure, now: float) -> Result:
        """A call has ended."""
        self._pace.end(now, len(self.calls))
        call = self.calls.pop(handle)
        self._idle.append(call)
        outcome = self.dialect.outcome(answer)
        self._observe(outcome, call.started, now)
        self._lasted = now - call.started
        self._lately.count(outcome, self._lasted, now)
        self._seconds.observe(self._lasted)
        mailing_id = call.attempt.message.mailing_id
        self._serving.observe(mailing_id, outcome, now)
        if outcome.is_served:
            return Result(call.attempt, outcome, now)
        if self._serving.is_stuck(mailing_id, now):
            self.stuck.append(mailing_id)
        serves = self._serving.serves(mailing_id, call.attempt.called_before, now)
        return Result(call.attempt, outcome, now, blame(outcome, serves=serves))

    def begin_anew(self, handle: pycurl.Curl) -> None:
        """Nothing was written: the connection was not fit for the call, or it is too late. The next connection may be
        fit, or is a new one; and the next look says whether it is too late."""
        call = self.calls.pop(handle)
        self._idle.append(call)
        self.waiting.appendleft(call.attempt)
        self.departures -= 1

    def count(self, results: int, now: float) -> None:
        """So many calls have ended."""
        self.throughput.count(results, now, self._lasted)

    def tell(self, code: int, said: str, now: float) -> None:
        """Why there is no connection: a certificate that nobody here trusts and a name that is none look alike in the
        figures. said: in libcurl's words, which have no more of the URL than host and port."""
        if times := self._unreachable.count(code, now):
            reason = "".join(filter(str.isprintable, said))[:_LONGEST_REASON]
            self._log.warning("provider_unreachable", provider=self.name, reason=reason, code=code, times=times)

    def close(self) -> None:
        for call in [*self.calls.values(), *self._idle]:
            call.handle.close()

    def _observe(self, outcome: Outcome, started: float, now: float) -> None:
        self._observe_pace(outcome, started, now)
        before = self._breaker.reason
        self._breaker.observe(outcome, started, now)
        after = self._breaker.reason
        if after == before:
            return
        if before:
            metrics.BREAKER_OPEN.labels(self.name, before).set(0)
        if after:
            self._opened_at = self._opened_at if before else now
            metrics.BREAKER_OPEN.labels(self.name, after).set(1)
            self._log.warning(
                "breaker_opened",
                provider=self.name,
                reason=after,
                words=outcome.words,
                pause=self._breaker.pause(now),
            )
        else:
            self._pace.resume(now)
            self._log.info("breaker_closed", provider=self.name, reason=before)

    def _observe_pace(self, outcome: Outcome, started: float, now: float) -> None:
        if not self._pace.observe(outcome, started, now):
            return
        metrics.PACE_FALLS.labels(self.name).inc()
        if times := self._too_much.count(0, now):
            self._log.info(
                "provider_limits",
                provider=self.name,
                pace=round(self._pace.per_second, 1),
                pause=round(self._pace.pause(now, len(self.calls)), 1),
                times=times,
            )
