"""After a restore: `python -m shared.recover` sets ids ahead, so that none is given twice; with `--since` it also gives
up what may have been sent since the moment that the database was restored to.

Exits 0 when done, 1 when the database did not do it or dispatchers run, 2 where a setting or an argument makes no
sense. Safe to run twice; without `--since` while everything is up, too.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2 import errorcodes
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared import audit, settings
from shared.audit import Actor, Change
from shared.broker.choice import choose
from shared.broker.memory import recall
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.database.ids_ahead import set_ahead
from shared.database.lead import count_dispatchers, take_lead
from shared.database.roles import Role
from shared.domain.errors import NotificationError, SettingsError
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.give_up import Lapse, Stretch, create_given_up, find_begun, find_begun_since, give_up_messages
from shared.settings import Settings

SPAN = 10_000
"""Messages, or clients of a launch, that one transaction looks at."""


class Refused(NotificationError):
    """Nothing was changed; the sentence says why."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    try:
        _recover(settings.load(), options)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except Refused as refusal:
        sys.exit(str(refusal))
    except SQLAlchemyError as error:
        sys.exit(_sentence(error))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shared.recover", description="What a restore to an earlier moment needs: docs/backups.md."
    )
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="MOMENT",
        help="what the database was restored to, such as 2050-01-31T03:00:00+03:00; for a dump, when it began. What may"
        " have been sent since ends as `unknown` and is not sent again. Every dispatcher has to be stopped",
    )
    parser.add_argument(
        "--until",
        type=_moment,
        metavar="MOMENT",
        help="when the last dispatcher had stopped; now, by default. What was not due before that was not sent",
    )
    found = parser.parse_args(arguments)
    if found.until and not found.since:
        parser.error("--until stands beside --since only")
    return found


def _moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be a moment such as 2050-01-31T03:00:00+03:00") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("must say its offset, such as 2050-01-31T03:00:00+03:00, or Z")
    return moment


def _recover(configuration: Settings, options: argparse.Namespace) -> None:
    database = ensure_database(configuration)
    known = recall(choose(configuration.broker_url, database.direct_url, configuration.retry_ladder))
    owner = database.direct_engine("recover", role=Role.OWNER, pool_size=1)
    service = database.direct_engine("recover", pool_size=1)
    try:
        if options.since is None:
            _set_ids_ahead(owner, known)
            print(
                "From here on ids are new. What was sent after the backup and is open in it is sent again, under its"
                " old id: `--since` prevents it."
            )
            return
        with _alone(service) as connection:
            lapse = _lapse(connection, options.since, options.until)
            recovery = Recovery(connection, lapse, Slot("recover"))
            if at := recovery.was_done_at(options.until):
                _set_ids_ahead(owner, known)
                print(f"What may have been sent since {_told(lapse.since)} was given up at {_told(at)} already.")
                return
            recovery.give_up_begun()
            _set_ids_ahead(owner, known)  # what is created now must have ids that nobody was given
            recovery.give_up_launched_since()
            _check_nobody_came(connection)
            recovery.note()
    finally:
        owner.dispose()
        service.dispose()


def _set_ids_ahead(engine: Engine, known: int) -> None:
    with engine.begin() as connection:
        moved = set_ahead(connection, known)
    for name, (before, after) in moved.items():
        print(f"{name}: {before} → {after}")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection that has the lead, so that nobody launches or feeds. Raises Refused where dispatchers run."""
    with engine.connect() as connection:
        with connection.begin():
            number, has_lead = count_dispatchers(connection), take_lead(connection)
        try:
            if number or not has_lead:
                raise Refused(
                    f"Dispatchers are connected to this database ({max(number, 1)} or more sessions): stop them all,"
                    " then run this again. Nothing was changed."
                )
            yield connection
        finally:
            connection.invalidate()  # with its lock


def _check_nobody_came(connection: Connection) -> None:
    """Raises Refused."""
    with connection.begin():
        number = count_dispatchers(connection)
    if number:
        raise Refused(
            f"Dispatchers were started meanwhile ({number} or more sessions), and may have sent what was still open:"
            " stop them all, then run this again. What was given up stays so."
        )


def _lapse(connection: Connection, since: datetime, until: datetime | None) -> Lapse:
    with connection.begin():
        now: datetime = connection.scalars(text("select now()")).one()
    lapse = Lapse(since.astimezone(UTC), until.astimezone(UTC) if until else now)
    if not lapse.since <= lapse.until <= now:
        raise SettingsError(
            f"--since has to lie before --until, and neither in the future; the database's clock says {_told(now)}."
        )
    return lapse


@dataclass
class Recovery:
    """Of a database that was restored to the beginning of a lapse. number: messages that were given up so far."""

    connection: Connection
    lapse: Lapse
    slot: Slot
    number: int = 0

    def was_done_at(self, until: datetime | None) -> datetime | None:
        """When this database had recovered from the same lapse: what is open in it by now is known. A further restore
        takes that away again. until: that somebody has named; then only a lapse that ended no earlier counts."""
        with self.connection.begin():
            at: datetime | None = self.connection.scalar(_DONE_AT, {"since": self.lapse.since, "until": until})
        return at

    def give_up_begun(self) -> None:
        with self.connection.begin():
            stretches = find_begun(self.connection, self.lapse)
        for whole in stretches:
            rest: Stretch | None = whole
            number = 0
            while rest:
                with self.connection.begin(), open_entries(self.connection, self.slot) as entries:
                    done = give_up_messages(self.connection, entries, rest, self.lapse, SPAN)
                rest, number = done.rest, number + done.number
            self._tell(whole.mailing_id, number)

    def give_up_launched_since(self) -> None:
        with self.connection.begin():
            mailing_ids = find_begun_since(self.connection, self.lapse)
        for mailing_id in mailing_ids:
            number, is_complete = 0, False
            while not is_complete:
                with self.connection.begin(), open_entries(self.connection, self.slot) as entries:
                    made, given_up = create_given_up(self.connection, entries, mailing_id, SPAN)
                number, is_complete = number + given_up, made.complete
            self._tell(mailing_id, number)

    def note(self) -> None:
        """On record, and for whoever runs it again."""
        since = f"{self.lapse.since:%Y-%m-%dT%H:%M:%SZ}"
        done = {"until": self.lapse.until.isoformat(), "unknown": self.number}
        with self.connection.begin():
            audit.write(self.connection, Actor("command"), [Change("recover", "messages", since, after=done)])
        print(f"{self.number} messages may have been sent since {_told(self.lapse.since)}: they are `unknown` now.")

    def _tell(self, mailing_id: int, number: int) -> None:
        self.number += number
        if number:
            print(f"Mailing {mailing_id}: {number} unknown")


_DONE_AT = text("""
    select at from audit
    where action = 'recover' and at >= :since
      and (cast(:until as timestamptz) is null or cast(after ->> 'until' as timestamptz) >= :until)
    order by id desc limit 1
""")


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S%z}"


def _sentence(error: SQLAlchemyError) -> str:
    why = f"The database did not do all of it: {first_line(error)}. It may be run again."
    if getattr(getattr(error, "orig", None), "pgcode", None) == errorcodes.INSUFFICIENT_PRIVILEGE:
        why += (
            " It takes the user who migrates: with compose `docker compose run --rm migrate python -m shared.recover`."
        )
    return why


if __name__ == "__main__":
    main()
