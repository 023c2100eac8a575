"""A broker of which the dispatcher asks first what it remembers, so that nobody works with a database that was restored
to before that."""

from sqlalchemy import Engine

from shared.broker.base import Broker, Session
from shared.database.ids import GivenIds, why_behind
from shared.domain.errors import BrokerUnavailable


class GuardedBroker:
    """Gives sessions only where the database is not behind. `refusal`: the sentence, once it was."""

    def __init__(self, broker: Broker, engine: Engine, ids: GivenIds) -> None:
        """engine: for these questions alone. ids: that this process knows."""
        self._broker = broker
        self._engine = engine
        self._ids = ids
        self.refusal: str | None = None

    def connect(self) -> Session:
        session = self._broker.connect()
        try:
            self._ask(session)
        except BaseException:
            session.close()
            raise
        return session

    def _ask(self, session: Session) -> None:
        if not (number := session.recall()):
            return
        self._ids.learn(number)
        why = why_behind(self._engine, self._ids)
        self._engine.dispose()  # it is asked once in a while
        if why:
            self.refusal = why
            raise BrokerUnavailable(why)
