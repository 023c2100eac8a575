"""What became of calls, for people: metrics and log lines."""

from collections import Counter
from collections.abc import Callable, Sequence

from dispatcher_service.sending.attempt import Result
from shared import metrics
from shared.domain.message import Error
from shared.domain.retry import Finish, HandBack
from shared.logs import logger
from shared.messages.record import Verdict

_OF_CALLS = set(Error) - {Error.PROVIDER_DOWN, Error.LEASE_LOST, Error.RESTORED}
_NOT_STARTED = "not_started"
_OURS = (Error.RATE_LIMITED, Error.UNAUTHORIZED, Error.UNPAID, Error.WRONG_ADDRESS, Error.REDIRECTED)
"""Those of which no call was about its message."""

metrics.begin(metrics.ERRORS, _OF_CALLS)
metrics.begin(metrics.ATTEMPTS_SPARED, _OF_CALLS)
metrics.begin(metrics.MESSAGES_HANDED_BACK, (_NOT_STARTED, *_OURS))


def show_outcomes(batch: Sequence[Result], verdicts: Sequence[Verdict], late: int, name: Callable[[int], str]) -> None:
    """Results that are written, each with its verdict; nothing of tests. late: how many came after their lease. name:
    of a provider, by its number."""
    log = logger()
    metrics.RESULTS_LATE.inc(late)
    if late:
        log.warning("results_late", count=late)
    if any(result.attempt.message.test for result in batch):
        pairs = [pair for pair in zip(batch, verdicts, strict=True) if not pair[0].attempt.message.test]
        batch, verdicts = [result for result, _ in pairs], [verdict for _, verdict in pairs]
    metrics.MESSAGES_REPEATED.inc(sum(result.attempt.message.repeat for result in batch if result.outcome))
    made = Counter((result.attempt.message.provider, result.outcome.kind) for result in batch if result.outcome)
    for (provider, kind), count in made.items():
        metrics.ATTEMPTS.labels(name(provider), kind).inc(count)
    for result, verdict in zip(batch, verdicts, strict=True):
        if result.outcome is None:
            metrics.MESSAGES_HANDED_BACK.labels(_NOT_STARTED).inc()
            continue
        if verdict.error is None:
            continue
        metrics.ERRORS.labels(verdict.error).inc()
        if not verdict.is_spent:
            metrics.ATTEMPTS_SPARED.labels(verdict.error).inc()
        if isinstance(verdict.decision, HandBack):
            metrics.MESSAGES_HANDED_BACK.labels(verdict.error).inc()
        elif isinstance(verdict.decision, Finish):
            log.info(
                "message_not_sent",
                provider=name(verdict.message.provider),
                state=verdict.decision.state,
                error=verdict.shown_error,
                words=verdict.words,
                calls=verdict.message.calls + 1,
                attempts=verdict.message.attempts + verdict.is_spent,
                mailing_id=verdict.message.mailing_id,
                message_id=verdict.message.id,
                client_id=verdict.message.client_id,
            )
