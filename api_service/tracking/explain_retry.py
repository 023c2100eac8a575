"""Why somebody has no message of a retry, for people. Pure."""

from dataclasses import dataclass

from api_service.tracking.absence import Absence
from api_service.tracking.explain import Facts, before_launch


@dataclass(frozen=True, slots=True)
class Source:
    """What a client has of the mailing that was retried. message_id, status, error: of their message there; None: they
    have none. is_kept: whether its messages are. is_reached: another retry of the family has reached them, or may
    have, or is still to."""

    is_kept: bool
    message_id: int | None = None
    status: str | None = None
    error: str | None = None
    is_reached: bool = False


def of_none(facts: Facts, source: Source) -> tuple[Absence, str]:
    of_source = f"mailing {facts.mailing.retry_of}"
    if not source.is_kept:
        return Absence.ROWS_GONE, f"The messages of {of_source}, which this one retries, are not kept any more."
    if source.message_id is None:
        return Absence.NOT_MATCHED, f"It retries {of_source}, of which they have no message."
    if facts.client is None:
        return Absence.DELETED, "The client was deleted from the directory before the launch came to them."
    if not _is_wanted(facts, source):
        with_error = f" ({source.error})" if source.error else ""
        return Absence.NOT_MATCHED, f"It is not for them: their message of {of_source} is {source.status}{with_error}."
    return _of_wanted(facts, source, source.message_id)


def _is_wanted(facts: Facts, source: Source) -> bool:
    states, errors = facts.mailing.retry_states, facts.mailing.retry_errors
    return source.status in states and (not errors or source.error in errors)


def _of_wanted(facts: Facts, source: Source, message_id: int) -> tuple[Absence, str]:
    mailing = facts.mailing
    if mailing.launched_at is None and message_id > mailing.audience_cursor:
        return Absence.NOT_LAUNCHED, before_launch(facts)
    if source.is_reached:
        return Absence.EXCLUDED, "Another retry has reached them, or may have, or is still to."
    return (
        Absence.NOT_MATCHED,
        f"Their message of mailing {mailing.retry_of} ended so only after the launch of this one.",
    )
