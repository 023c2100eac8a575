"""One dispatcher's pipeline, put together: its threads, and how they end."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from dispatcher_service.pipeline.in_hand import Held
from dispatcher_service.pipeline.intake import Intake
from dispatcher_service.pipeline.permits import Permits
from dispatcher_service.pipeline.recorder import Recorder
from dispatcher_service.pipeline.routes import Routes
from dispatcher_service.sending.attempt import Result
from dispatcher_service.sending.built_in import BuiltIn
from dispatcher_service.sending.dialect import Dialect
from dispatcher_service.sending.line import Line
from dispatcher_service.sending.sender import Sender
from shared.broker.base import Broker
from shared.clock import ticks
from shared.domain.retry import RetryPolicy
from shared.rates import limits

LEASE_MARGIN = 60.0
"""Seconds that a lease lasts, by the database's clock, beyond the provider's time-out."""

OWN_MARGIN = 20.0
"""So many of them, by our own ticks, a dispatcher counts on for the way to the wire and the writing of the result. The
rest is for the database's clock: it may step."""

STOP_WITHIN = 18.0


class Worker:
    """One dispatcher. `start` returns at once; `stop` hands back or finishes what is in flight.

    lease: seconds that its claims last.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        policy: RetryPolicy,
        dialects: Sequence[Dialect],
        *,
        rate: float,
        learn: Callable[[int], object] = lambda _: None,
    ) -> None:
        """dialects: of the providers. rate: messages per second through all of them, by all dispatchers; 0: no limit.
        learn: is told the highest id of each claim."""
        self._stopping = threading.Event()  # nothing new is begun
        self._closing = threading.Event()  # everything is recorded: settle and leave
        providers = [dialect.provider for dialect in dialects]
        timeout = max(provider.limits.timeout for provider in providers)
        self.lease = timeout + LEASE_MARGIN
        self._intake = Intake(broker, self._hold, stopping=self._stopping, closing=self._closing)
        self._sender = Sender([Line(dialect) for dialect in dialects], deliver=self._take_results)
        permits = Permits(engine, {provider.name: limits.of(provider, rate) for provider in providers})
        self._built_in = BuiltIn(self._take_results)
        self._recorder = Recorder(
            engine,
            policy,
            self._sender,
            self._built_in,
            self._intake,
            lease=self.lease,
            own_lease=timeout + min(OWN_MARGIN, LEASE_MARGIN),
            routes=Routes(self._sender.lines, providers, permits),
            permits=permits,
            learn=learn,
            stopping=self._stopping,
            closing=self._closing,
        )
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("broker", self._intake.run),
                ("store", self._recorder.run),
                ("sender", self._sender.run),
                ("built-in", self._built_in.run),
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> bool:
        """Finishes or hands back what is in flight, within STOP_WITHIN seconds; whether everything was recorded."""
        end = ticks() + STOP_WITHIN
        self._stopping.set()
        self._sender.stop(within=STOP_WITHIN - 4)
        self._built_in.stop(within=STOP_WITHIN - 4)
        broker, store, sender, built_in = self._threads
        sender.join(end - ticks())
        built_in.join(max(0.1, end - ticks()))
        self._recorder.wake()
        store.join(max(0.1, end - ticks()))
        self._closing.set()
        self._intake.wake()
        broker.join(max(0.1, end + 1 - ticks()))
        return not store.is_alive()

    def _hold(self, job: Held) -> None:
        self._recorder.take_job(job)

    def _take_results(self, results: Sequence[Result]) -> None:
        self._recorder.take_results(results)
