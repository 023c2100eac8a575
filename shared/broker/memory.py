"""What a broker remembers of the ids that were given, asked without waiting for one that is silent."""

import threading

from shared.broker.base import Broker
from shared.domain.errors import BrokerError

PATIENCE = 3.0


def recall(broker: Broker, within: float = PATIENCE) -> int:
    """The highest id that it was told; 0 where it knows none, or does not answer within so many seconds."""
    found = [0]

    def ask() -> None:
        try:
            with broker.connect() as session:
                found.append(session.recall())
        except BrokerError:
            pass

    asking = threading.Thread(target=ask, name="recall", daemon=True)
    asking.start()
    asking.join(within)
    return found[-1]
