"""`python -m shared.ledger repair`: mends counters, audiences and totals from the rows.

Exits 0 when done, 1 when the database failed, when another repair is at work, or when `--dry-run` found something to
mend; 2 when asked for what makes no sense.
"""

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared import settings
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.database.roles import Role
from shared.domain.errors import SettingsError
from shared.ledger.check import AUDIENCE, Account, prepare
from shared.ledger.repair import find_accounts, lock, mend
from shared.ledger.totals import mend_totals, totals_difference

_LONGEST = 120.0
"""Seconds for a look at all mailings; every other statement takes milliseconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        database = ensure_database(settings.load())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    role = Role.READER if options.dry_run else Role.SERVICE
    engine = database.direct_engine("ledger", role=role, pool_size=1, statement_timeout=_LONGEST)
    try:
        with engine.connect() as connection:
            return _repair(connection, options.mailing, dry_run=options.dry_run)
    except SQLAlchemyError as error:
        print(f"The database did not do it: {first_line(error)}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shared.ledger", description="The ledger of the mailings.")
    actions = parser.add_subparsers(dest="action", required=True)
    repair = actions.add_parser(
        "repair",
        help="make counters and audiences say what the rows say; everything else may go on meanwhile",
        description="Looks at every mailing that has begun and is not finished, and at those whose counters do not add"
        " up. The rows are the truth.",
    )
    repair.add_argument("--mailing", type=int, metavar="ID", help="this one only, finished or not")
    repair.add_argument("--dry-run", action="store_true", help="say what differs and change nothing")
    return parser.parse_args(arguments)


def _repair(connection: Connection, mailing_id: int | None, *, dry_run: bool) -> int:
    if not lock(connection):
        print("Another repair is at work; nothing was done.", file=sys.stderr)
        return 1
    prepare(connection)
    looked_at = differing = 0
    for account in find_accounts(connection, None if mailing_id is None else [mailing_id]):
        looked_at += 1
        if account.difference:
            differing += 1
            if not dry_run:
                mend(connection, account)
            print(_sentence(account))
    if mailing_id is not None and not looked_at:
        print(f"There is no mailing {mailing_id}, or its messages are removed.", file=sys.stderr)
        return 2
    with connection.begin():  # last: they sum up the counters
        totals = totals_difference(connection)
        if totals and not dry_run:
            mend_totals(connection, totals)
    if totals:
        print(f"Totals: {', '.join(f'{name} {-more:+}' for name, more in totals.items())}.")
    done = "differ from their rows; nothing was changed" if dry_run else "mended"
    print(f"{looked_at} looked at, {differing} {done}.")
    return 1 if dry_run and (differing or totals) else 0


def _sentence(account: Account) -> str:
    """`Mailing 7: pending 12 → 10, audience 12 → 10.`"""
    said = {AUDIENCE: account.audience, **account.received}
    said |= {str(state): number for state, number in account.counted.items()}
    changes = (f"{name} {said[name]} → {said[name] - more}" for name, more in account.difference.items())
    return f"Mailing {account.mailing_id}: {', '.join(changes)}."


if __name__ == "__main__":
    sys.exit(main())
