"""What an attempt led to is written, while the claim is still held."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, Retry
from shared.ledger.entries import AT_ONCE, Entries, When
from shared.ledger.names import QUARTER
from shared.messages.claim import Claimed
from shared.messages.fragments import GRACE, GRACE_INTERVAL, IS_CALLED, array


class Verdict(NamedTuple):
    """What is to become of a claimed message after an attempt.

    error: why the attempt did not succeed. ambiguous: the provider may have taken it. at: when the provider answered,
    by the database's clock; what is written may be written much later. None: at the time of writing.
    """

    message: Claimed
    decision: Decision
    error: Error | None = None
    ambiguous: bool = False
    at: datetime | None = None


def record_verdicts(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """Writes the verdicts of attempts whose lease is still held; the number of those that came too late.

    pause: how long a message waits that is handed back without an attempt spent. No message may occur twice.
    """
    groups: dict[tuple[int, Decision, Error | None, bool, bool], list[Verdict]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: verdict.message.id):
        message = verdict.message
        groups[message.part, verdict.decision, verdict.error, verdict.ambiguous, message.repeat].append(verdict)
    recorded = 0
    for (part, decision, error, ambiguous, repeat), group in groups.items():
        claimed = {
            "part": part,
            "ids": array(verdict.message.id for verdict in group),
            "claims": array(verdict.message.claim_id for verdict in group),
            "moments": array(verdict.at.isoformat() if verdict.at else "null" for verdict in group),
        }
        failure = {"error": error, "ambiguous": ambiguous}
        due_in = AT_ONCE
        if isinstance(decision, Finish):
            after = decision.state
            rows = connection.execute(_FINISH, {**claimed, **failure, "after": after}).all()
        elif isinstance(decision, Retry):
            after, due_in = MessageState.RETRYING, decision.delay + GRACE
            rows = connection.execute(_RETRY, {**claimed, **failure, "delay": decision.delay}).all()
        else:
            after, due_in = MessageState.PENDING, pause
            rows = connection.execute(_RETURN if error else _UNCALLED, {**claimed, "pause": pause}).all()
        for row in rows:
            when = When(row.quarter, row.first, row.last)
            entries.moved(row.mailing_id, MessageState.SENDING, after, row.number, error, due_in=due_in, when=when)
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
            from (
                select id, claim_id, coalesce(moment, now()) as moment
                from unnest(
                    cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
                ) as job (id, claim_id, moment)
            ) job
            where m.part = :part and m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id, job.moment
        )
        select mailing_id, {QUARTER} as quarter, count(*) as number, min(moment) as first, max(moment) as last
        from moved group by mailing_id, quarter
    """)


_SPENT = (
    "attempts = m.attempts + 1, calls = m.calls + 1, error = :error, maybe_delivered = m.maybe_delivered or :ambiguous"
)
_FINISH = _recording(f"""
    {_SPENT}, status = cast(:after as message_state), due_at = null,
    sent_at = case when :after = 'sent' then job.moment end
""")
_RETRY = _recording(f"{_SPENT}, status = 'retrying', due_at = now() + :delay + {GRACE_INTERVAL}")
_RETURN = _recording("calls = m.calls + 1, status = 'pending', due_at = now() + :pause")
_UNCALLED = _recording(f"""
    status = 'pending', due_at = now() + :pause,
    phone = case when {IS_CALLED} then m.phone
                 else coalesce((select phone from clients where id = m.client_id limit 1), m.phone) end
""")
