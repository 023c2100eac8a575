"""Which mailings the leader looks at, and when the next one starts."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, text


def begun_mailings(connection: Connection) -> Sequence[Row[tuple[object, ...]]]:
    """The mailings that have begun and are not finished, nearest end first."""
    with connection.begin():
        return connection.execute(WALK).all()


# A paused mailing is launched only to be closed, when its end has passed.
WALK = text("""
    select id, audience, over, cancelled, window_changed, launched_at is null and not cancelled as unlaunched,
           not over and not cancelled and (
               select due_at from messages where mailing_id = mailings.id
                 and status in ('pending', 'queued', 'retrying') order by due_at limit 1) <= now() as due
    from mailings, lateral (select ends_at <= now() as over, cancelled_at is not null as cancelled) state
    where finished_at is null and (cancelled or over or starts_at <= now() and paused_at is null)
    order by ends_at, id
""")


def until_next_start(connection: Connection) -> float | None:
    """Seconds until a mailing starts that no launch job will announce then; None where there is none."""
    with connection.begin():
        seconds: float | None = connection.scalar(_NEXT_START)
    return seconds


# Whatever has started by now was launched by this step, or keeps it busy.
_NEXT_START = text("""
    select extract(epoch from min(starts_at) - clock_timestamp())::float from mailings
    where launched_at is null and finished_at is null and cancelled_at is null and paused_at is null
""")
