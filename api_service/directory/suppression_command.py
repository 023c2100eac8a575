"""`python -m api_service suppressions rotate`: another key for the digests of suppressed phones."""

import argparse
from collections.abc import Sequence

from api_service.directory.rotating import Rotated, rotate
from api_service.directory.suppression_keys import digests_of
from api_service.web.command import carried_out
from shared.settings import Settings


def run(settings: Settings) -> int:
    """The exit code: 0, or 1 when the database or the keys were wrong. Raises SettingsError."""
    digests = digests_of(settings)
    done = carried_out(settings, "suppressions", lambda work: rotate(work, digests))
    if done is None:
        return 1
    print(_said(done))
    return 0


def _said(done: Rotated) -> str:
    lines = [f"Key {done.version} is in use. Suppressions made anew with it: {done.renewed}."]
    lines += [
        f"Key {version} is still needed by {number}: nobody in the directory has their phones."
        for version, number in done.left.items()
    ]
    return "\n".join(lines if done.left else [*lines, "No older key is needed any more."])


def check_options(arguments: Sequence[str]) -> None:
    """Ends the process where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m api_service suppressions", description="The keys of suppressed phones' digests."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("rotate", help="take the highest version of SUPPRESSION_KEYS into use; harmless when repeated")
    parser.parse_args(arguments)
