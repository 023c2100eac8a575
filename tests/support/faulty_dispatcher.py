"""The dispatcher with what only a test may ask of it: `python -m tests.support.faulty_dispatcher`.

FAULT_POINT   such as `record-after-commit:10`: the process kills itself at that point, once so many messages have come
              there. What it had in hand just then is the last line that it prints.
SPARED_UNTIL  the id up to which messages pass the point unharmed: those of earlier mailings
FEEDS         `no`: it only sends, and never leads
JOBS          `twice`: what it publishes to be sent it publishes twice, so that half of all jobs are stale
CONSTANTS     values in the place of those in the product, as JSON:
              {"dispatcher_service.pipeline.worker.LEASE_MARGIN": 2}

Its connections carry its process id behind their name, so that a witness in the database knows who did what.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pkgutil import resolve_name
from typing import Any

from dispatcher_service.__main__ import main
from dispatcher_service.leading import launch
from dispatcher_service.leading.lead import Leader
from dispatcher_service.pipeline import recorder
from dispatcher_service.pipeline.recorder import Recorder
from dispatcher_service.sending.sender import Sender
from shared.broker import rabbitmq, table
from shared.broker.topology import DISPATCH
from shared.database import engine
from shared.domain.job import DispatchJob, WakeUp

DIES = "dies with "

Act = Callable[..., None]
Install = Callable[[Callable[[Iterable[int]], None]], None]
"""Puts a fault point in its place; it calls what it is given with the ids of the messages that come there."""


def before(owner: Any, name: str, act: Act) -> None:
    """`act` runs before each call, with its arguments."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        act(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def after(owner: Any, name: str, act: Act) -> None:
    """`act` runs after each call, with its result and its arguments."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        act(result, *args, **kwargs)
        return result

    setattr(owner, name, wrapped)


def _in_jobs(bodies: Iterable[bytes]) -> list[int]:
    return [message_id for body in bodies for piece in DispatchJob.decode(body) for message_id in piece.message_ids]


def _in_wake_ups(bodies: Iterable[bytes]) -> list[int]:
    return [message_id for body in bodies for message_id in WakeUp.decode(body).message_ids]


def _publishing(place: Callable[[Any, str, Act], None], *, retries: bool) -> Install:
    """Around the publishing of jobs that are to be sent now, or of those that are tried again."""

    def install(reach: Callable[[Iterable[int]], None]) -> None:
        def act(*args: Any) -> None:
            queue, bodies = args[-2:]
            if queue == DISPATCH and not retries:
                reach(_in_jobs(bodies))
            if queue.startswith("mailing.retry.") and retries:
                reach(_in_wake_ups(bodies))

        for session in _SESSIONS:
            place(session, "publish", act)

    return install


def _acking(place: Callable[[Any, str, Act], None]) -> Install:
    def install(reach: Callable[[Iterable[int]], None]) -> None:
        def act(*args: Any) -> None:
            if args[-1].queue == DISPATCH:
                reach(_in_jobs([args[-1].body]))

        for session in _SESSIONS:
            place(session, "ack", act)

    return install


_NEW = 2**62  # the id of messages that are not committed yet
_SESSIONS = (rabbitmq._Session, table._Session)


def _launching(reach: Callable[[Iterable[int]], None]) -> None:
    """Of one mailing, or of several together."""
    after(launch, "create_messages", lambda made, *_: reach([_NEW] * made.count))
    after(launch, "create_together", lambda made, *_: reach([_NEW] * sum(one.count for one in made.values())))


POINTS: dict[str, Install] = {
    "launch-before-commit": _launching,
    "feed-before-publish": _publishing(before, retries=False),
    "feed-after-confirm": _publishing(after, retries=False),
    "claim-before-commit": lambda reach: after(
        recorder,
        "claim_messages",
        lambda claim, *_, **__: reach(message.id for message in claim.messages) if claim else None,
    ),
    "claim-after-commit": lambda reach: before(
        Sender, "offer", lambda _, __, attempts: reach(attempt.message.id for attempt in attempts)
    ),
    "call-before-record": lambda reach: before(
        Recorder, "take_results", lambda _, results: reach(result.attempt.message.id for result in results)
    ),
    "record-before-commit": lambda reach: after(
        recorder, "record_called", lambda *args: reach(verdict.message.id for verdict in args[3])
    ),
    "record-after-commit": lambda reach: before(
        recorder, "show_outcomes", lambda batch, *_: reach(result.attempt.message.id for result in batch)
    ),
    "retry-before-publish": _publishing(before, retries=True),
    "retry-after-confirm": _publishing(after, retries=True),
    "before-ack": _acking(before),
    "after-ack": _acking(after),
}


def _install(point: str, spared_until: int) -> None:
    name, _, count = point.partition(":")
    left = int(count)

    def reach(message_ids: Iterable[int]) -> None:
        nonlocal left
        ids = sorted(message_id for message_id in message_ids if message_id > spared_until)
        left -= len(ids)
        if ids and left <= 0:
            os.write(1, f"{DIES}{ids}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # no thread comes any further

    POINTS[name](reach)


def _replace(constants: dict[str, Any]) -> None:
    for name, value in constants.items():
        owner, _, constant = name.rpartition(".")
        place = resolve_name(owner)  # a module, or a class of one
        assert isinstance(getattr(place, constant), type(value)), name
        setattr(place, constant, value)


def _publish_twice() -> None:
    for session in _SESSIONS:
        original = session.publish

        def publish(session: Any, queue: str, bodies: Sequence[bytes], original: Any = original) -> None:
            original(session, queue, [*bodies, *bodies] if queue == DISPATCH else bodies)

        session.publish = publish  # type: ignore[method-assign, assignment]


def _sign_connections() -> None:
    original = engine.create_engine  # type: ignore[attr-defined]

    def create_engine(url: Any, *, connect_args: dict[str, Any], **options: Any) -> Any:
        name = f"{connect_args.get('application_name', 'look')}:{os.getpid()}"
        return original(url, connect_args={**connect_args, "application_name": name}, **options)

    engine.create_engine = create_engine  # type: ignore[attr-defined, assignment]


if __name__ == "__main__":
    _replace(json.loads(os.environ.get("CONSTANTS", "{}")))
    _sign_connections()
    if os.environ.get("FEEDS") == "no":
        Leader.run = lambda leader: leader._stopping.wait()  # type: ignore[method-assign, assignment]
    if os.environ.get("JOBS") == "twice":
        _publish_twice()
    if fault_point := os.environ.get("FAULT_POINT"):
        _install(fault_point, int(os.environ.get("SPARED_UNTIL", "0")))
    sys.exit(main())
