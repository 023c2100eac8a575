"""Which broker the settings ask for."""

from collections.abc import Sequence
from datetime import timedelta

from shared.broker.base import Broker
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.table import TableBroker


def choose(broker_url: str | None, database_url: str, ladder: Sequence[timedelta]) -> Broker:
    """RabbitMQ where it has a URL, else the table broker. Raises SettingsError when that URL makes no sense."""
    return RabbitMQ(broker_url, ladder) if broker_url else TableBroker(database_url, ladder)
