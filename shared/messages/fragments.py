"""What several moves have in common: pieces of SQL, and how rows that a move has locked are entered."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, TextClause, text

from shared.domain.lanes import FIRST_PROVIDER
from shared.domain.message import WAITING_STATES, Error, MessageState
from shared.domain.reason import Reason
from shared.domain.state_sql import IS_WAITING, names
from shared.ledger.entries import Entries

AnyRow = Row[*tuple[Any, ...]]


def array(values: Iterable[object]) -> str:
    """As one literal, which the server reads faster than a list of expressions."""
    return "{" + ",".join(map(str, values)) + "}"


def array_of_texts(texts: Iterable[str]) -> str:
    """The same of texts, whatever is in them."""
    return "{" + ",".join([f'"{each}"' for each in map(_escaped, texts)]) + "}"


def _escaped(text: str) -> str:
    if "\\" in text or '"' in text:
        return text.replace("\\", "\\\\").replace('"', '\\"')
    return text


# Who may have a message that was called, or is on the wire.
WHOSE = f"coalesce(m.provider, {FIRST_PROVIDER})"

# The lane in which they alone have it; while only one was ever known there is none, and it stays where it is.
THEIR_LANE = f"coalesce((select number from lanes where number = {WHOSE}), m.lane)"


# What a job names and may be sent: what waits and is due, whoever names it, however old the job.
# `limit 1`: by the id and by nothing else, or old statistics make the partial indexes look small; they hold every
# version of a message that no vacuum has removed yet.
_OF_JOB = """
    cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
    left join lateral (select * from clients where id = m.client_id limit 1) c on true
"""
JOB = f"from unnest(cast(:ids as bigint[])) as job (id) {_OF_JOB}"
MAY_BE_SENT = f"m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.{IS_WAITING} and m.due_at <= now()"

# The same where there are several providers, each message with the lane that it was found in and the provider that it
# is to go through. What a call may have delivered before is in its provider's own lane; until it is, nobody takes it.
JOB_AS_ASSIGNED = f"""
    from unnest(cast(:ids as bigint[]), cast(:lanes as smallint[]), cast(:providers as smallint[]))
        as job (id, lane, provider) {_OF_JOB}
"""
MAY_BE_SENT_AS_ASSIGNED = f"""
    {MAY_BE_SENT} and m.lane = job.lane and (not m.maybe_delivered or job.provider = {WHOSE})
"""

# What a claim asks of them, in the order in which it reads them.
_CLAIMED = """m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
    m.first_called_at, m.last_called_at, m.phone, c.timezone"""
CLAIMED = f"{_CLAIMED}, 0 as provider"
CLAIMED_AS_ASSIGNED = f"{_CLAIMED}, job.provider"


# The phone stands in the row, and follows the client's until a call was made: from then on every repeat goes there.
IS_CALLED = "(m.calls > 0 or m.maybe_delivered)"
IS_ADDRESSED = f"(m.phone = c.phone or m.phone is not null and {IS_CALLED})"


# What waits for a client in a part, locked: a look for each mailing that is under way there. The status as text, so
# that the index of what waits, which would lead through all of a mailing, is no way to it, whatever the statistics
# promise.
OF_CLIENT = f"""
    select m.id, m.status from mailings g cross join lateral (
        select * from messages where part = :part and client_id = :client_id and mailing_id = g.id
          and status::text in {names(WAITING_STATES)}
        for update skip locked) m
    where g.part = :part and g.finished_at is null
"""


# The same of several, by all that each of them has in the part.
OF_CLIENTS = f"""
    select m.id, m.status from unnest(cast(:client_ids as bigint[])) as client (id) cross join lateral (
        select * from messages where part = :part and client_id = client.id
          and status::text in {names(WAITING_STATES)}
        for update skip locked) m
"""


def next_due(columns: str, mailing: str, condition: str = "true", *, limit: str, lock: str = "") -> str:
    """Messages of a mailing that wait, the nearest first, at most `limit` of them: lane by lane in the order of the
    index, which so is the only way to read them, whatever the statistics promise. lock: `for update …`, of as many in
    each lane."""
    return f"""
        select {columns} from lanes cross join lateral (
            select * from messages m
            where part = :part and mailing_id = {mailing} and lane = lanes.number and {IS_WAITING} and {condition}
            order by due_at, id limit {limit} {lock}
        ) m
        order by due_at, id limit {limit}
    """


def closing(job: str) -> TextClause:
    """A statement that gives waiting messages, which `job` selects and locks, their last state: `unknown` where
    the provider may have taken any call. A message in `sending` is left to its dispatcher while the lease lasts, and
    then to `rescue`."""
    return counted(
        job,
        """due_at = null,
            status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end""",
    )


def skipping(job: str) -> TextClause:
    """The same for messages that are left out for a `:reason`, which stands in the place of their error."""
    return counted(
        job,
        """due_at = null,
            status = case when m.maybe_delivered then 'unknown'::message_state else 'skipped' end,
            error = case when m.maybe_delivered then m.error else :reason end""",
    )


def counted(job: str, assignments: str, then: str = "") -> TextClause:
    """A statement that moves the messages of a part which `job` gives as (id, status), and says how many went from
    where to where. then: what else is to be done with those that were `moved`, as (id, attempts)."""
    return text(f"""
        with job as materialized ({job}), moved as (
            update messages m set {assignments} from job where m.part = :part and m.id = job.id
            returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
        ){f", done as ({then})" if then else ""}
        select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after
    """)


def enter_counts(
    entries: Entries, rows: Iterable[AnyRow], error: Error | None = None, *, reason: Reason | None = None
) -> int:
    """How many there are. reason: of those among them that are skipped."""
    total = 0
    for row in rows:
        entries.moved(
            row.mailing_id, MessageState(row.before), MessageState(row.after), row.number, error, reason=reason
        )
        total += row.number
    return total
