"""`python -m sandbox.identity_provider`: until SIGINT or SIGTERM."""

import argparse
import logging
import re
import secrets
import signal
from urllib.parse import urlsplit

from werkzeug.serving import make_server

import sandbox.identity_provider
from sandbox.identity_provider import application
from sandbox.identity_provider.known import CONSOLES, ISSUER, PEOPLE

_ISSUER = re.compile(r"http://([a-z0-9-]+\.)*localhost:[1-9][0-9]{0,4}")
_CONSOLE = re.compile(r"http://(127\.0\.0\.1|localhost):[1-9][0-9]{0,4}/console/")


def main() -> None:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    passwords = {person.login: secrets.token_hex(5) for person in PEOPLE}
    made = application.make(options.issuer, options.console, passwords)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for every request
    # Threads: browsers open connections that they may never use.
    server = make_server(options.host, urlsplit(options.issuer).port or 0, made, threaded=True)
    for person in PEOPLE:
        print(f"identity provider: {person.login:<6} of {person.group:<10} password {passwords[person.login]}")
    print(f"identity provider: {options.issuer}, for trying only", flush=True)
    server.serve_forever()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.identity_provider",
        description=sandbox.identity_provider.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where it listens; the port is the issuer's (default %(default)s)")
    add("--issuer", type=_issuer, default=ISSUER, help="as browsers and the service reach it (default %(default)s)")
    add("--console", type=_console, nargs="+", default=CONSOLES, metavar="URL",
        help=f"where people come from and are led back to (default {' '.join(CONSOLES)})")  # fmt: skip
    return parser


def _issuer(text: str) -> str:
    if not _ISSUER.fullmatch(text):
        raise argparse.ArgumentTypeError("must be of the form http://NAME.localhost:PORT: it is for trying only")
    return text


def _console(text: str) -> str:
    if not _CONSOLE.fullmatch(text):
        raise argparse.ArgumentTypeError("must be of the form http://localhost:PORT/console/: it is for trying only")
    return text


if __name__ == "__main__":
    main()
