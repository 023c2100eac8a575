"""Kannel of Debian's packages: a real gateway with a network that is none, on loopback.

bearerbox talks to the network, smsbox takes messages by HTTP, fakesmsc is the network and says what it got.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from urllib.parse import unquote_to_bytes

from sandbox import debian
from tests.support.rabbitmq import free_ports
from tests.support.server_process import ServerProcess, program

USER, PASSWORD, SENDER = "shop", "s3cret", "Kiosk"

_FAKESMSC = Path("/usr/lib/kannel/test/fakesmsc")
_START_SECONDS = 20.0

_CONFIGURATION = f"""
group = core
admin-port = {{admin}}
admin-interface = "127.0.0.1"
admin-password = {PASSWORD}
smsbox-port = {{boxes}}
box-allow-ip = "127.0.0.1"
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = fake
host = 127.0.0.1
port = {{network}}
connect-allow-ip = "127.0.0.1"

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {{boxes}}
sendsms-port = {{http}}
sendsms-interface = "127.0.0.1"
global-sender = {SENDER}
max-pending-requests = 50
http-request-retry = 10
http-queue-delay = 5

group = sendsms-user
username = {USER}
password = {PASSWORD}
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
text = "none"
"""


@dataclass(frozen=True, slots=True)
class Kannel:
    """url: where it takes messages."""

    url: str
    _network: Path

    def delivered(self) -> list[tuple[str, str, str]]:
        """Sender, phone and text of what the network got."""
        said = self._network.read_text(encoding="latin-1")
        return [_read(*found) for found in re.findall(r"Got message \d+: <(\S+) (\S+) (\S+) (.*)>", said)]


@contextmanager
def kannel() -> Iterator[Kannel]:
    """Installed where it is missing. Raises NotInstalled."""
    bearerbox, smsbox, fakesmsc = program("bearerbox", "kannel"), program("smsbox", "kannel"), _fakesmsc()
    admin, boxes, network, http = free_ports(4)
    with tempfile.TemporaryDirectory(prefix="kannel-") as name, ExitStack() as stack:
        directory = Path(name)
        configuration = directory / "kannel.conf"
        configuration.write_text(_CONFIGURATION.format(admin=admin, boxes=boxes, network=network, http=http))

        def start(program: Path, *arguments: str) -> ServerProcess:
            process = ServerProcess([str(program), *arguments], directory / program.name)
            stack.callback(process.kill)
            return process

        process = start(bearerbox, "-v", "1", str(configuration))
        process.wait_until(lambda: _listens(network) and _listens(boxes), _START_SECONDS)
        start(fakesmsc, "-H", "127.0.0.1", "-r", str(network), "-i", "1", "-m", "0", "1 2 text nothing")
        process = start(smsbox, "-v", "1", str(configuration))
        process.wait_until(lambda: _listens(http), _START_SECONDS)
        log = directory / "bearerbox"
        process.wait_until(lambda: "Fakesmsc client connected" in log.read_text(errors="replace"), _START_SECONDS)
        yield Kannel(f"http://127.0.0.1:{http}/cgi-bin/sendsms", directory / "fakesmsc")


def _fakesmsc() -> Path:
    if not _FAKESMSC.is_file():
        debian.install("kannel-extras")
    return _FAKESMSC


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def _read(sender: str, phone: str, kind: str, text: str) -> tuple[str, str, str]:
    """fakesmsc writes what is not in GSM-7 as UTF-16 in the manner of a form, the byte of a blank as a plus sign."""
    if kind == "ucs-2":
        text = unquote_to_bytes(text.replace("+", " ")).decode("utf-16-be")
    return sender, phone, text
