"""How one provider is spoken to: what it is told, and what its answers mean. Pure; `sender` does the calls."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from shared.domain.message import Error
from shared.domain.profile.answer import Answer
from shared.domain.profile.making import Maker
from shared.domain.profile.provider import Provider
from shared.domain.profile.reading import Reader
from shared.domain.retry import Outcome, OutcomeKind


class Failure(StrEnum):
    """How a call can end without an answer."""

    NOT_SENT = "not sent"  # no connection, DNS, TLS: the request was not written
    TIMED_OUT = "timed out"  # no answer in time after the request was written
    LOST = "lost"  # the connection broke after the request was written
    BROKEN = "broken"  # what came sounds like success, but is truncated or too long; or it is no HTTP


class Dialect:
    """A provider's profile, compiled, with its secrets."""

    def __init__(self, provider: Provider, secrets: Mapping[str, str], receipt_url: str | None = None) -> None:
        """receipt_url: where receipts are to go; None: none are asked for."""
        self.provider = provider
        # Where no receipt will ask for it, nobody looks for the provider's id of a message.
        self._is_named = provider.receipts is not None and provider.receipts.needs_references
        reading = provider.reading if self._is_named else replace(provider.reading, reference=None)
        self._read = Reader(reading).outcome
        self.renew(secrets, receipt_url)

    def renew(self, secrets: Mapping[str, str], receipt_url: str | None = None) -> None:
        """The calls that begin from now on have these. From any thread."""
        self.maker = Maker(self.provider, secrets, receipt_url)
        self._secrets = [secret.encode() for secret in secrets.values()]

    def outcome(self, answer: Answer | Failure) -> Outcome:
        """What a call led to. Never raises, whatever the provider answered."""
        if isinstance(answer, Failure):
            return _FAILURES[answer]
        outcome = self._read(answer)
        if self._is_named and outcome.reference is not None:
            return replace(outcome, provider=self.provider.name)
        return self._without_secrets(answer, outcome) if outcome.words else outcome

    def _without_secrets(self, answer: Answer, outcome: Outcome) -> Outcome:
        """A provider that does not know a secret may quote it, and its words are kept and logged."""
        body = answer.body
        for secret in self._secrets:
            body = body.replace(secret, b"*" * 8)
        return outcome if body == answer.body else replace(outcome, words=self._read(answer._replace(body=body)).words)


_FAILURES = {
    Failure.NOT_SENT: Outcome(OutcomeKind.TRANSIENT, Error.UNREACHABLE),
    Failure.TIMED_OUT: Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT),
    Failure.LOST: Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST),
    Failure.BROKEN: Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER),
}
