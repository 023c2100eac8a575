"""One call to a provider, made as the dispatcher makes it."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dispatcher_service.sending.attempt import Attempt, DatabaseClock
from dispatcher_service.sending.call import Call, Kept, seconds_left
from dispatcher_service.sending.dialect import Dialect, Failure
from dispatcher_service.sending.sockets import Sockets
from shared.clock import ticks
from shared.domain.profile.answer import Answer
from shared.domain.profile.making import Outgoing, Written
from shared.domain.profile.provider import Provider
from shared.domain.profile.reading import Reader
from shared.domain.retry import Outcome
from shared.messages.claim import Claimed

VALIDITY = 3600
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was said, what came back, and what it means. why: there is no answer."""

    method: str
    request: Written
    answer: Answer | Failure
    why: str
    outcome: Outcome
    seconds: float


def make_call(provider: Provider, secrets: Mapping[str, str], message: Outgoing) -> Trial:
    """Hands one message to the provider."""
    dialect = Dialect(provider, secrets)
    attempt = _attempt(message)
    started = ticks()
    with closing(Sockets()) as sockets:
        call = Call(lambda _descriptor, _purpose: 0, Kept(sockets), provider.limits.timeout)
        call.prepare(dialect, attempt, started)
        answer, why = call.make()
        call.handle.close()
    sender, left = message.sender or provider.sender, seconds_left(attempt, started)
    written = dialect.maker.write(message._replace(sender=sender, validity=left))
    outcome = dialect.outcome(answer)
    if isinstance(answer, Answer):  # the dispatcher itself looks for a reference only where receipts need it
        outcome = replace(outcome, reference=Reader(provider.reading).outcome(answer).reference)
    return Trial(dialect.maker.method, written, answer, why, outcome, ticks() - started)


def _attempt(message: Outgoing) -> Attempt:
    now, moment = ticks(), datetime.now(UTC)
    end = moment + timedelta(seconds=VALIDITY)
    claimed = Claimed(
        message.id, 0, 0, 0, 0, message.phone, message.text, 0, 0, end, end, repeat=False, sender=message.sender
    )
    return Attempt(claimed, DatabaseClock(moment, now), now, now + VALIDITY, now + VALIDITY, now + VALIDITY)
