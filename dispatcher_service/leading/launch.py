"""The launch of a mailing: its messages are created, a slice in each step."""

from sqlalchemy import Connection, Row

from shared import metrics
from shared.ledger.entries import open_entries
from shared.logs import logger
from shared.messages.create import create_messages

FIRST_SLICE, LAUNCH_SLICE = 2_500, 25_000
"""Messages that are created at a time: few at first, so that they can be sent while the others are created."""


def launch(connection: Connection, slot: int, mailing: Row[tuple[object, ...]]) -> bool:
    """Creates the next slice; whether there was anything to create."""
    limit = LAUNCH_SLICE if mailing.audience else FIRST_SLICE
    with connection.begin(), open_entries(connection, slot) as entries:
        made = create_messages(connection, entries, mailing.id, limit)
    metrics.MESSAGES_CREATED.inc(made.count)
    if made.complete:
        logger().info("mailing_launched", mailing_id=mailing.id)
    return made.count > 0
