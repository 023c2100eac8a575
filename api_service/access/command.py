"""`python -m api_service keys …`: makes, lists, rotates and revokes the keys of the API."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from api_service.access import actions, keyring, rules
from api_service.web import key
from api_service.web.command import carried_out
from api_service.web.key import Scope, Token
from api_service.web.work import Work
from shared import clock, logs
from shared.database.models import ApiKey
from shared.settings import Settings

_log = logs.logger()


def run(options: argparse.Namespace, settings: Settings) -> int:
    """The exit code: 0, or 1 when the database or the user was wrong. Raises SettingsError."""
    answer = carried_out(settings, "keys", lambda work: _ACTIONS[options.action](options, work))
    if answer is None:
        return 1
    # Only now: a key that could not be stored must not look as if it were one.
    if answer.event:
        _log.info(answer.event, **answer.about)
    if answer.remark:
        print(answer.remark, file=sys.stderr)
    print(answer.text)
    return 0


class _Answer:
    """event, about: a line of the log, where something was changed. remark: for people, beside the text."""

    def __init__(self, text: str, event: str | None = None, remark: str | None = None, **about: str) -> None:
        self.text, self.event, self.remark, self.about = text, event, remark, about


def _create(options: argparse.Namespace, work: Work) -> _Answer:
    token = actions.create(work, options.name, options.scope, _from_now(options.expires))
    about = {"key_name": options.name, "scope": str(options.scope)}
    return _Answer(str(token), "api_key_made", _SHOWN_ONCE, key_id=token.id, **about)


def _adopt(options: argparse.Namespace, work: Work) -> _Answer:
    token: Token = options.file
    if not actions.adopt(work, token, options.name, options.scope):
        return _Answer(f"Key {token.id} is known already, and left as it is.")
    about = {"key_name": options.name, "scope": str(options.scope)}
    return _Answer(f"Key {token.id} is adopted.", "api_key_made", key_id=token.id, **about)


def _rotate(options: argparse.Namespace, work: Work) -> _Answer:
    token, old = actions.rotate(work, options.id, options.overlap, _from_now(options.expires))
    remark = f"{_SHOWN_ONCE} Key {old.id} opens until {old.expires_at:%Y-%m-%d %H:%M} UTC."
    about = {"instead_of": old.id, "key_name": old.name, "scope": old.scope}
    return _Answer(str(token), "api_key_rotated", remark, key_id=token.id, **about)


def _revoke(options: argparse.Namespace, work: Work) -> _Answer:
    one = actions.revoke(work, options.id)
    text = f"Key {one.id} is revoked, and so are those made with it. They open nothing more within {keyring.FRESH:g} s."
    return _Answer(text, "api_key_revoked", key_id=one.id, key_name=one.name)


def _list(_options: argparse.Namespace, work: Work) -> _Answer:
    return _Answer("\n".join(_row(one) for one in actions.list_all(work)) or "There is no key.")


_ACTIONS = {"create": _create, "adopt": _adopt, "list": _list, "rotate": _rotate, "revoke": _revoke}
_SHOWN_ONCE = "This is the key. It is shown this once and stored nowhere."


def _from_now(life: timedelta | None) -> datetime | None:
    return clock.now() + life if life else None


def _row(one: ApiKey) -> str:
    state = "usable"
    if one.expires_at is not None:
        state = f"expires {one.expires_at:%Y-%m-%d}" if one.expires_at > clock.now() else "expired"
    if one.revoked_at is not None:
        state = f"revoked {one.revoked_at:%Y-%m-%d}"
    used = f"used {one.last_used_at:%Y-%m-%d}" if one.last_used_at else "never used"
    return f"{one.id}  {one.scope:<5}  made {one.created_at:%Y-%m-%d}  {state:<18}  {used:<15}  {one.name}"


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Ends the process where they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m api_service keys", description="The keys of the API.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key, and print it this once")
    adopt = actions.add_parser("adopt", help="make a key that is in a file already usable; harmless when repeated")
    adopt.add_argument("file", type=_token, metavar="FILE")
    for parser_of_one in (create, adopt):
        parser_of_one.add_argument("--name", type=_name, required=True, help="whose it is")
        parser_of_one.add_argument("--scope", type=Scope, choices=list(Scope), required=True)
    actions.add_parser("list", help="all there ever were")
    rotate = actions.add_parser("rotate", help="make a key that takes the place of another, and print it this once")
    rotate.add_argument(
        "--overlap",
        type=_hours,
        default=timedelta(hours=24),
        metavar="HOURS",
        help="for which both open; 24 by default",
    )
    revoke = actions.add_parser("revoke", help="for good")
    for parser_of_one in (rotate, revoke):
        parser_of_one.add_argument("id", metavar="ID")
    for parser_of_one in (create, rotate):
        parser_of_one.add_argument(
            "--expires", type=_days, metavar="DAYS", help="from now; without it the new key does not expire"
        )
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    if not rules.is_name(text):
        raise argparse.ArgumentTypeError(f"must be 1 to {rules.LONGEST_NAME} printable characters")
    return text


def _days(text: str) -> timedelta:
    return timedelta(days=_number(text, "days", 1, rules.MOST_DAYS))


def _hours(text: str) -> timedelta:
    return timedelta(hours=_number(text, "hours", 0, 8_760))


def _number(text: str, unit: str, least: int, most: int) -> int:
    number = rules.whole(text, least, most)
    if number is None:
        raise argparse.ArgumentTypeError(f"must be a whole number of {unit}, {least} to {most}")
    return number


def _token(path: str) -> Token:
    try:
        token = key.parsed(Path(path).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {type(error).__name__}") from error
    if token is None:
        raise argparse.ArgumentTypeError("holds no key")
    return token
