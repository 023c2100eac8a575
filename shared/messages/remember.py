"""Calls that a database has forgotten are told to it again.

A standby that takes over may not have got the last commits: then messages wait in it that were called, and would be
sent again. The processes that called them know better, and have the last word where nobody has called since.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from shared.domain.message import WAITING_STATES, MessageState
from shared.domain.state_sql import names
from shared.ledger.entries import Entries
from shared.messages.fragments import array
from shared.messages.record import Verdict, record_verdicts


def record_called(connection: Connection, entries: Entries, verdicts: Sequence[Verdict], pause: timedelta) -> int:
    """As `record_verdicts`, also where the claim is not known any more and the message waits as if its call had not
    been made; the number of those that came too late.

    What another has claimed since is left to them. No message may occur twice.
    """
    late = record_verdicts(connection, entries, verdicts, pause)
    if not late:
        return 0
    by_part: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.is_of_call:
            by_part[verdict.message.part].append(verdict)
    forgotten = [one for part, group in by_part.items() for one in _claim_anew(connection, entries, part, group)]
    return late - len(forgotten) + (record_verdicts(connection, entries, forgotten, pause) if forgotten else 0)


def _claim_anew(connection: Connection, entries: Entries, part: int, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Under the tokens that they had: those that were taken."""
    values = {
        "part": part,
        "ids": array(verdict.message.id for verdict in verdicts),
        "claims": array(verdict.message.claim_id for verdict in verdicts),
        "calls": array(verdict.message.calls for verdict in verdicts),
        "providers": array(verdict.message.provider for verdict in verdicts),
        "texts": [verdict.message.text if verdict.message.is_personal else None for verdict in verdicts],
    }
    rows = connection.execute(_CLAIM_ANEW, values).all()
    for row in rows:
        entries.moved(row.mailing_id, MessageState(row.before), MessageState.SENDING)
    taken = {row.id for row in rows}
    anew = [verdict for verdict in verdicts if verdict.message.id in taken]
    for verdict in anew:
        if verdict.message.repeat:
            entries.repeated(verdict.message.mailing_id, 1)
    # That an earlier call may have reached the provider can be forgotten as well.
    return [verdict._replace(ambiguous=verdict.ambiguous or verdict.message.repeat) for verdict in anew]


# Each call that came to an end, and each lease that did, is counted in the row: so who finds it with as many calls as
# they claimed it with, or fewer, and without a claim, knows that theirs is forgotten. Of thousands that are told again
# next to none are: only those are locked. The status as text, so that the id leads to the row, whatever the statistics
# promise.
_CLAIM_ANEW = text(f"""
    with job as materialized (
        select m.id, m.status, job.claim_id, job.text, nullif(job.provider, 0) as provider
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:calls as integer[]), cast(:texts as text[]),
            cast(:providers as smallint[])
        ) as job (id, claim_id, calls, text, provider)
        cross join lateral (
            select id, status from messages
            where part = :part and id = job.id and calls <= job.calls and status::text in {names(WAITING_STATES)}
            limit 1 for update skip locked
        ) m
    )
    update messages m set status = 'sending', claim_id = job.claim_id, due_at = now(),
        text = coalesce(m.text, job.text), provider = coalesce(job.provider, m.provider)
    from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, job.status as before
""")
