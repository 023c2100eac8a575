"""A message whose dispatcher is gone, or too slow, is sent by another one."""

from sqlalchemy import Connection

from shared import metrics
from shared.ledger.entries import open_entries
from shared.logs import logger
from shared.messages.rescue import rescue_messages

RESCUE_SLICE = 5_000


def rescue_leases(connection: Connection, slot: int, attempts: int) -> int:
    """Frees the next slice of messages whose lease ran out; how many. attempts: provider calls at the most."""
    with connection.begin(), open_entries(connection, slot) as entries:
        rescued = rescue_messages(connection, entries, attempts, RESCUE_SLICE)
    metrics.MESSAGES_RESCUED.inc(rescued)
    if rescued:
        logger().warning("leases_ran_out", count=rescued)
    return rescued
