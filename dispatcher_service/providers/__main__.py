"""`python -m dispatcher_service.providers check FILE` and `… try FILE --phone PHONE`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dispatcher_service.providers.showing import show_provider, show_trial
from dispatcher_service.providers.trial import make_call
from shared.domain.errors import SettingsError
from shared.domain.profile.document import DocumentError
from shared.domain.profile.making import Outgoing
from shared.domain.profile.provider import Limits, Provider, Providers
from shared.providers import secrets
from shared.providers.loading import read_file

RIGHT, WRONG, UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is right, or the message was accepted. 1: it is not. 2: the command makes no sense."""
    options = _parser().parse_args(arguments)
    try:
        providers = read_file(options.file, Limits())
    except DocumentError as error:
        for fault in error.faults:
            print(f"{options.file}: {fault}", file=sys.stderr)
        return WRONG
    except (OSError, ValueError) as error:
        print(f"{options.file} cannot be read: {getattr(error, 'strerror', None) or error}.", file=sys.stderr)
        return UNUSABLE
    return _check(providers) if options.command == "check" else _try(providers, options)


def _check(providers: Providers) -> int:
    result = RIGHT
    for provider in providers:
        print(show_provider(provider))
        try:
            secrets.read(provider)
        except SettingsError as error:
            print(f"{provider.name}: {error}", file=sys.stderr)
            result = WRONG
    return result


def _try(providers: Providers, options: argparse.Namespace) -> int:
    provider = _chosen(providers, options.provider)
    if provider is None:
        print(f"--provider must be one of {', '.join(providers.names)}.", file=sys.stderr)
        return UNUSABLE
    if not provider.may_send(options.sender):
        print(f"--sender must be one of {', '.join(provider.senders) or 'none'}.", file=sys.stderr)
        return UNUSABLE
    try:
        known = secrets.read(provider)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG
    trial = make_call(provider, known, Outgoing(options.id, options.phone, options.text, options.sender))
    print(show_trial(trial, known))
    return RIGHT if trial.outcome.kind == "accepted" else WRONG


def _chosen(providers: Providers, name: str | None) -> Provider | None:
    if name is None:
        return next(iter(providers)) if len(providers) == 1 else None
    return providers.get(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dispatcher_service.providers", description="Looks at a file of providers (docs/providers.md)."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="says what is wrong with it, by line and key, and whether the secrets are there"
    )
    check.add_argument("file", type=Path)
    trial = commands.add_parser(
        "try", help="makes one call, and shows request, answer and what it means; secrets masked"
    )
    trial.add_argument("file", type=Path)
    trial.add_argument("--provider", help="which one, where there are several")
    trial.add_argument(
        "--phone", type=_phone, required=True, help="who gets the message: digits, with the country's code"
    )
    trial.add_argument("--text", default="Test", help="default: %(default)s")
    trial.add_argument("--sender", help="default: the provider's first")
    trial.add_argument("--id", type=_number, default=1, help="of the message, default: %(default)s")
    return parser


def _phone(text: str) -> int:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and 10 <= len(digits) <= 15):
        raise argparse.ArgumentTypeError("must be 10 to 15 digits, such as 79161234567")
    return int(digits)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
