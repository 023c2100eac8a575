"""`python -m api_service keys …`: makes, lists and revokes the keys of the API."""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api_service import key, keys
from api_service.errors import NotFound
from api_service.key import Scope, Token
from shared import clock, migrate, settings
from shared.database.engine import ensure_database, first_line, make_engine
from shared.database.models import ApiKey


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 1 when the database or the user was wrong. Raises SettingsError."""
    options = _options(arguments)
    configuration = settings.load()
    url = ensure_database(configuration)
    if configuration.database_url is None:
        migrate.upgrade(url)
    engine = make_engine(url, "keys", pool_size=1)
    try:
        with Session(engine) as session, session.begin():
            message = _carry_out(options, session)
    except NotFound as error:
        print(error.message, file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        print(f"The database did not do it: {first_line(error)}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()
    if options.action == "create":
        print("This is the key. It is shown this once and stored nowhere.", file=sys.stderr)
    print(message)  # only now: a key that could not be stored must not look as if it were one
    return 0


def _carry_out(options: argparse.Namespace, session: Session) -> str:
    match options.action:
        case "create":
            token = key.new()
            expires_at = options.expires and clock.now() + options.expires
            keys.stored(session, token, options.name, options.scope, expires_at)
            return str(token)
        case "adopt":
            token = options.file
            new = keys.stored(session, token, options.name, options.scope, None)
            return f"Key {token.id} is {'adopted' if new else 'known already, and left as it is'}."
        case "revoke":
            keys.revoke(session, options.id)
            return f"Key {options.id} is revoked. It opens nothing more within {keys.FRESH:g} s."
        case _:
            return "\n".join(_row(one) for one in keys.listed(session)) or "There is no key."


def _row(one: ApiKey) -> str:
    state = "usable"
    if one.expires_at is not None:
        state = f"expires {one.expires_at:%Y-%m-%d}" if one.expires_at > clock.now() else "expired"
    if one.revoked_at is not None:
        state = f"revoked {one.revoked_at:%Y-%m-%d}"
    return f"{one.id}  {one.scope:<5}  made {one.created_at:%Y-%m-%d}  {state:<18}  {one.name}"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api_service keys", description="The keys of the API.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key, and print it this once")
    create.add_argument("--expires", type=_days, metavar="DAYS", help="from now; without it the key does not expire")
    adopt = actions.add_parser("adopt", help="make a key that is in a file already usable; harmless when repeated")
    adopt.add_argument("file", type=_token, metavar="FILE")
    for parser_of_one in (create, adopt):
        parser_of_one.add_argument("--name", type=_name, required=True, help="whose it is")
        parser_of_one.add_argument("--scope", type=Scope, choices=list(Scope), required=True)
    actions.add_parser("list", help="all there ever were")
    actions.add_parser("revoke", help="for good").add_argument("id", metavar="ID")
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise argparse.ArgumentTypeError("must be 1 to 64 printable characters")
    return text


def _days(text: str) -> timedelta:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= 36_500:
        raise argparse.ArgumentTypeError("must be a whole number of days, at most 36500")
    return timedelta(days=int(text))


def _token(path: str) -> Token:
    try:
        token = key.parsed(Path(path).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {type(error).__name__}") from error
    if token is None:
        raise argparse.ArgumentTypeError("holds no key")
    return token
