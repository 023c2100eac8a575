"""What an attempt led to is written, while the claim is still held."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, Retry
from shared.ledger.entries import Entries
from shared.messages.claim import Claimed
from shared.messages.fragments import GRACE_INTERVAL, array


class Verdict(NamedTuple):
    """What is to become of a claimed message after an attempt. `error`: why the attempt did not succeed."""

    message: Claimed
    decision: Decision
    error: Error | None = None


def record_verdicts(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """Writes the verdicts of attempts whose lease is still held; the number of those that came too late.

    pause: how long a message waits that is handed back without an attempt spent. No message may occur twice.
    """
    groups: dict[tuple[Decision, Error | None, bool], list[Claimed]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: verdict.message.id):
        groups[verdict.decision, verdict.error, verdict.message.repeat].append(verdict.message)
    recorded = 0
    for (decision, error, repeat), messages in groups.items():
        key = {
            "ids": array(message.id for message in messages),
            "claims": array(message.claim_id for message in messages),
        }
        if isinstance(decision, Finish):
            after = decision.state
            rows = connection.execute(_FINISH, {**key, "after": after, "error": error}).all()
        elif isinstance(decision, Retry):
            after = MessageState.RETRYING
            rows = connection.execute(_RETRY, {**key, "delay": decision.delay, "error": error}).all()
        else:
            after = MessageState.PENDING
            rows = connection.execute(_RETURN, {**key, "pause": pause}).all()
        for row in rows:
            entries.moved(row.mailing_id, MessageState.SENDING, after, row.number, error)
            if repeat and after is MessageState.PENDING and error is None:
                entries.repeated(row.mailing_id, -row.number)  # the call was not made
            recorded += row.number
    return len(verdicts) - recorded


# Whoever moves a message out of `sending` takes the token off it. So the token says it all, and the state need not be
# asked for, which would bring the partial indexes into play.
def _recording(assignments: str) -> TextClause:
    return text(f"""
        with moved as (
            update messages m set claim_id = null, {assignments}
            from unnest(cast(:ids as bigint[]), cast(:claims as bigint[])) as job (id, claim_id)
            where m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id
        )
        select mailing_id, count(*) as number from moved group by mailing_id
    """)


_FINISH = _recording("""
    status = cast(:after as message_state), attempts = m.attempts + 1, error = :error, due_at = null,
    sent_at = case when :after = 'sent' then now() end
""")
_RETRY = _recording(f"""
    status = 'retrying', attempts = m.attempts + 1, error = :error, due_at = now() + :delay + {GRACE_INTERVAL}
""")
_RETURN = _recording("status = 'pending', due_at = now() + :pause")
