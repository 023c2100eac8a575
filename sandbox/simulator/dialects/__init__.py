"""The dialects that the simulator speaks, all at once: which one a request is in is seen by its address."""

from sandbox.simulator.dialects.base import Dialect
from sandbox.simulator.dialects.infobip import Infobip
from sandbox.simulator.dialects.kannel import Kannel
from sandbox.simulator.dialects.seed import Seed
from sandbox.simulator.dialects.smsaero import SmsAero
from sandbox.simulator.dialects.smsc import Smsc
from sandbox.simulator.dialects.twilio import Twilio
from sandbox.simulator.dialects.vonage import Vonage

SEED = Seed()
DIALECTS: tuple[Dialect, ...] = (SEED, Twilio(), Vonage(), Infobip(), Smsc(), SmsAero(), Kannel())


def dialect_of(path: str) -> Dialect | None:
    """None: there is nothing at this address."""
    return next((dialect for dialect in DIALECTS if path.startswith(dialect.prefix)), None)
