"""A provider and a call of it in lines, for people. Pure; no secret is shown."""

import base64
from collections.abc import Mapping
from urllib.parse import quote

from dispatcher_service.providers.trial import Trial
from dispatcher_service.sending.dialect import Failure
from shared.domain.profile.provider import Provider

MASK = "********"
_MOST = 2_000
"""Characters of an answer that are shown."""


def show_provider(provider: Provider) -> str:
    """In one line."""
    rules = f"{len(provider.reading.rules)} rules"
    senders = f"senders {', '.join(provider.senders)}" if provider.senders else "no senders"
    limits = f"{provider.limits.timeout:g} s a call, {provider.limits.concurrency} at once"
    rate = f", {provider.limits.rate:g} a second" if provider.limits.rate else ""
    receipts = "receipts" if provider.receipts else "no receipts"
    return f"{provider.name}: {provider.request.method}, {rules}, {senders}, {limits}{rate}, {receipts}"


def show_trial(trial: Trial, secrets: Mapping[str, str]) -> str:
    """Request, answer, meaning."""
    request = trial.request
    lines = [f"> {trial.method} {request.url}", *(f"> {line}" for line in request.headers)]
    if request.body is not None:
        lines += [">", f"> {request.body.decode('utf-8', 'replace')}"]
    if isinstance(trial.answer, Failure):
        lines.append(f"< no answer, {trial.answer}: {trial.why}")
    else:
        said = trial.answer.body.decode("utf-8", "replace")
        lines += [f"< HTTP {trial.answer.status}", *(f"< {line}" for line in said[:_MOST].splitlines())]
    outcome = trial.outcome
    meaning = f"= {outcome.kind}" + (f" ({outcome.error})" if outcome.error else "")
    lines.append(f"{meaning}, after {trial.seconds:.2f} s")
    if outcome.reference:
        lines.append(f"= reference: {outcome.reference}")
    if outcome.words:
        lines.append(f"= words: {outcome.words}")
    return masked("\n".join(lines), secrets)


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """Without the secrets, however they are written in a request: as they are, in an address or a form, in JSON, and as
    a part of basic authentication."""
    for line in text.splitlines():
        kind, found, pair = line.partition("Authorization: Basic ")
        if found and _holds(pair.strip(), secrets):
            text = text.replace(line, f"{kind}{found}{MASK}")
    for secret in sorted(secrets.values(), key=len, reverse=True):
        for written in {secret, quote(secret, safe=""), secret.replace("\\", "\\\\").replace('"', '\\"')}:
            text = text.replace(written, MASK)
    return text


def _holds(pair: str, secrets: Mapping[str, str]) -> bool:
    try:
        said = base64.b64decode(pair).decode()
    except ValueError:
        return False
    return any(secret in said for secret in secrets.values())
