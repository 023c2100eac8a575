"""After a restore: what may have been sent since the moment that the database was restored to is given up.

The database knows nothing of what came after that moment. A message that was open then may have been called since, and
nobody can tell: it ends as `unknown`, and is not sent again. The same goes for mailings that were launched since: their
messages are created, and end so.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import HELD_STATES, OPEN_STATES, Error
from shared.domain.state_sql import names
from shared.ledger.entries import Entries
from shared.messages.create import Slice, create_messages
from shared.messages.fragments import counted, enter_counts
from shared.messages.parts import end_of_span


class Lapse(NamedTuple):
    """The time of which the database knows nothing: from the moment that it was restored to until the last dispatcher
    had stopped."""

    since: datetime
    until: datetime


class Stretch(NamedTuple):
    """The ids of a mailing's messages, in their part. is_over: it had ended or was cancelled before the lapse, so that
    of its messages only those that were on the wire may have been called since."""

    mailing_id: int
    part: int
    first: int
    last: int
    is_over: bool


class GivenUp(NamedTuple):
    """number: of messages. rest: what is still to be looked at; None: nothing is."""

    number: int
    rest: Stretch | None


def find_begun(connection: Connection, lapse: Lapse) -> Sequence[Stretch]:
    """Mailings that have messages and are not finished."""
    return [Stretch(*row) for row in connection.execute(_BEGUN, {"since": lapse.since})]


_BEGUN = text("""
    select id, part, first_message_id, last_message_id, cancelled_at is not null or ends_at <= :since as is_over
    from mailings where finished_at is null and audience_limit is not null and first_message_id is not null
    order by id
""")


def find_begun_since(connection: Connection, lapse: Lapse) -> Sequence[int]:
    """Mailings of which the launch began in the lapse, or went on."""
    return connection.scalars(_BEGUN_SINCE, lapse._asdict()).all()


# Whether somebody has paused it or not: they may have resumed it since. A draft has to be started by somebody first.
_BEGUN_SINCE = text("""
    select id from mailings
    where finished_at is null and launched_at is null and cancelled_at is null and not draft
      and starts_at <= :until and ends_at > :since
    order by id
""")


def give_up_messages(connection: Connection, entries: Entries, stretch: Stretch, lapse: Lapse, span: int) -> GivenUp:
    """Of the next `span` messages ends what may have been called in the lapse as `unknown`. Waits for who has locked
    one.

    That is what was on the wire, what was due before the end of the lapse, and what waited for a provider that was
    down, since it is due at once when that serves again. Whether its mailing was paused does not matter: it may have
    been resumed.
    """
    last = end_of_span(connection, stretch.part, stretch.first, stretch.last, span)
    job = {**stretch._asdict(), "last": last, "until": lapse.until}
    number = enter_counts(entries, connection.execute(_GIVE_UP, job), Error.RESTORED)
    return GivenUp(number, stretch._replace(first=last + 1) if last < stretch.last else None)


# By the ids. The status as text, so that no index of a few states is a way to it, whatever the statistics promise.
_GIVE_UP = counted(
    f"""
        select m.id, m.status from messages m
        where part = :part and id between :first and :last and mailing_id = :mailing_id
          and status::text in {names(OPEN_STATES)}
          and (status::text in {names(HELD_STATES)}
               or not :is_over and (due_at <= :until or error = '{Error.PROVIDER_DOWN}'))
        for update
    """,
    f"""claim_id = null, due_at = null, status = 'unknown', maybe_delivered = true, error = '{Error.RESTORED}'""",
)


def create_given_up(connection: Connection, entries: Entries, mailing_id: int, span: int) -> tuple[Slice, int]:
    """The next slice of a launch, as `create_messages` makes it, of which all is given up; with how many messages that
    were."""
    before = connection.execute(_IDS_OF, {"mailing_id": mailing_id}).one()
    made = create_messages(connection, entries, mailing_id, span, all_open=True)
    if not made.count or made.part is None:
        return made, 0
    after = connection.execute(_IDS_OF, {"mailing_id": mailing_id}).one()
    first = after.first if before.last is None else before.last + 1
    rest: Stretch | None = Stretch(mailing_id, made.part, first, after.last, is_over=False)
    number = 0
    while rest:  # those of other mailings may lie between
        done = give_up_messages(connection, entries, rest, _EVER, span)
        number, rest = number + done.number, done.rest
    return made, number


_EVER = Lapse(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

_IDS_OF = text("select first_message_id as first, last_message_id as last from mailings where id = :mailing_id")
