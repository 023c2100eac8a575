"""What a call led to is written, while the claim is still held."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, HandBack, Retry
from shared.ledger.entries import AT_ONCE, Entries, When
from shared.ledger.names import QUARTER
from shared.messages.claim import Claimed
from shared.messages.fragments import IS_CALLED, THEIR_LANE, array
from shared.messages.references import Reference, keep_references


class Verdict(NamedTuple):
    """What is to become of a claimed message after a call.

    error: why the call did not succeed; None with a HandBack: there was none. ambiguous: the provider may have taken
    it. at: when the provider answered, by the database's clock; what is written may be written much later. None: at the
    time of writing. is_spent: whether it is an attempt. words: of the provider. named: what the provider calls the
    message, where its receipts will do so.
    """

    message: Claimed
    decision: Decision
    error: Error | None = None
    ambiguous: bool = False
    at: datetime | None = None
    is_spent: bool = True
    words: str = ""
    named: Reference | None = None

    @property
    def shown_error(self) -> Error | None:
        """What the message's row has: of a call that is not held against it, what it waits for, or ended by."""
        if self.is_spent or self.error is None:
            return self.error
        if self.error is Error.RATE_LIMITED and isinstance(self.decision, HandBack):
            return self.error
        return Error.PROVIDER_DOWN

    @property
    def is_of_call(self) -> bool:
        """Whether there was one."""
        return self.error is not None or not isinstance(self.decision, HandBack)

    @property
    def kind(self) -> Hashable:
        """Those of one kind are written by one statement: they differ in message, moment and words only."""
        return self.message.part, self.decision, self.error, self.ambiguous, self.is_spent, self.message.repeat

    @property
    def leaves_attempt(self) -> bool:
        """Whether the table of attempts gets a row: of what was spent in vain, or ended the message in vain."""
        return self.error is not None and (self.is_spent or isinstance(self.decision, Finish))


def record_verdicts(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """Writes the verdicts of attempts whose lease is still held; the number of those that came too late.

    pause: how long a message waits that is handed back without a call. No message may occur twice.
    """
    groups: dict[Hashable, list[Verdict]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: verdict.message.id):
        groups[verdict.kind].append(verdict)
    recorded = 0
    for group in groups.values():
        first = group[0]
        part, decision, error = first.message.part, first.decision, first.error
        values: dict[str, object] = {
            "part": part,
            "ids": array(verdict.message.id for verdict in group),
            "claims": array(verdict.message.claim_id for verdict in group),
            "moments": array(_moment(verdict.at) for verdict in group),
        }
        if error or not isinstance(decision, HandBack):
            values |= {"shown": first.shown_error, "ambiguous": first.ambiguous, "spent": int(first.is_spent)}
        if first.leaves_attempt:
            values |= {"error": error, "words": [verdict.words or None for verdict in group]}
        due_in = AT_ONCE
        if isinstance(decision, Finish):
            after = decision.state
            statement = _FINISH_IN_VAIN if first.leaves_attempt else _FINISH
            rows = connection.execute(statement, {**values, "after": after}).all()
        elif isinstance(decision, Retry):
            after, due_in = MessageState.RETRYING, decision.delay
            statement = _RETRY if first.leaves_attempt else _SPARE
            rows = connection.execute(statement, {**values, "delay": decision.delay}).all()
        else:
            after, due_in = MessageState.PENDING, pause if decision.delay is None else decision.delay
            rows = connection.execute(_RETURN if error else _UNCALLED, {**values, "pause": due_in}).all()
        for row in rows:
            when = When(row.quarter, row.first, row.last)
            entries.moved(row.mailing_id, MessageState.SENDING, after, row.number, error, due_in=due_in, when=when)
            if first.message.repeat and after is MessageState.PENDING and error is None:
                entries.repeated(row.mailing_id, -row.number)  # the call was not made
            recorded += row.number
    if named := [verdict.named for verdict in verdicts if verdict.named is not None]:
        keep_references(connection, named)
    return len(verdicts) - recorded


@lru_cache(maxsize=16)
def _moment(at: datetime | None) -> str:
    """As PostgreSQL reads it. Many answers come in at the same moment."""
    return at.isoformat() if at else "null"


# Whoever moves a message out of `sending` takes the token off it. So the token says it all, and the state need not be
# asked for, which would bring the partial indexes into play.
def _recording(assignments: str, *, leaves_attempt: bool = False) -> TextClause:
    attempt = """, attempted as (
            insert into attempts (message_id, part, number, at, error, words)
            select id, :part, attempts + 1 - :spent, moment, :error, words from moved
            on conflict do nothing
        )"""
    words = ", cast(:words as text[])" if leaves_attempt else ""
    word = ", words" if leaves_attempt else ""
    return text(f"""
        with moved as (
            update messages m set claim_id = null, {assignments}
            from (
                select id, claim_id, coalesce(moment, now()) as moment{word}
                from unnest(
                    cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[]){words}
                ) as job (id, claim_id, moment{word})
            ) job
            where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
            returning m.mailing_id, m.id, m.attempts, job.moment{word}
        ){attempt if leaves_attempt else ""}
        select mailing_id, {QUARTER} as quarter, count(*) as number, min(moment) as first, max(moment) as last
        from moved group by mailing_id, quarter
    """)


_CALLED = """
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
"""
_STILL_OPEN = f"""
    {_CALLED}, lane = case when :ambiguous then {THEIR_LANE} else m.lane end,
    first_called_at = coalesce(m.first_called_at, job.moment), last_called_at = job.moment
"""


_ENDED = f"""
    {_CALLED}, status = cast(:after as message_state), due_at = null,
    sent_at = case when :after = 'sent' then job.moment end
"""
_WAITS = f"{_STILL_OPEN}, status = 'retrying', due_at = now() + :delay"

_FINISH = _recording(_ENDED)
_FINISH_IN_VAIN = _recording(_ENDED, leaves_attempt=True)
_RETRY = _recording(_WAITS, leaves_attempt=True)
_SPARE = _recording(_WAITS)
_RETURN = _recording(f"{_STILL_OPEN}, status = 'pending', due_at = now() + :pause")
_UNCALLED = _recording(f"""
    status = 'pending', due_at = now() + :pause,
    phone = case when {IS_CALLED} then m.phone
                 else coalesce((select phone from clients where id = m.client_id limit 1), m.phone) end,
    text = case when {IS_CALLED} then m.text end
""")
