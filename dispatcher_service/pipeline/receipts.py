"""What the built-in provider says later of the messages of tests.

It says so in the transaction that writes down that they were accepted: so no receipt is lost with a dispatcher.
"""

from collections.abc import Sequence

from dispatcher_service.sending.played import play
from shared.domain.receipt import Receipt
from shared.domain.retry import SENT
from shared.messages.record import Verdict


def played_receipts(verdicts: Sequence[Verdict]) -> list[Receipt]:
    accepted = [verdict.message for verdict in verdicts if verdict.message.test and verdict.decision is SENT]
    said = [(message.id, play(message.phone).receipt) for message in accepted]
    return [receipt._replace(message_id=message_id) for message_id, receipt in said if receipt is not None]
