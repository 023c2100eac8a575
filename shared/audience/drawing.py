"""Clients drawn by chance, as good as by a die and the same ones at every look: by their ids, of which nobody knows
how many are still there."""

from sqlalchemy import Connection, text

DEARER = 20
"""Times as dear as the next row is one that is looked up."""

DRAWN = f"""clients.id = any(array(
    select (cast(:highest as bigint) * (n - 1) + (hashint8extended(n, 20261201) & {2**63 - 1}) % :highest) / :draws + 1
    from generate_series(1, :draws) n))"""
"""One of `draws` clients, each of an equal part of the ids up to `highest`, of which there are no fewer."""


def highest_id(connection: Connection) -> int:
    """Of the clients; 0 where there are none."""
    found: int = connection.execute(_HIGHEST).scalar_one()
    return found


_HIGHEST = text("select coalesce(max(id), 0) from clients")
