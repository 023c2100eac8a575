"""Which import took which client.

The ids of clients are kept in chunks of 2^15, as arrays of what is left of an id in its chunk: a batch of an import
adds a row for each chunk that it touched. That is a few bytes for each client, in place of 75 for a row and its key,
and a thirtieth of the rows.
"""

KEEP = """
    kept as (
        insert into import_clients (import_id, chunk, clients)
        select :import_id, id >> 15, array_agg((id & 32767)::smallint) from {clients} group by id >> 15
    )
"""
"""A part of a statement that stores clients: `clients` is its part, or condition, that gives their ids."""

TAKEN = """
    taken as materialized (
        select array_agg(distinct id) as ids from (
            select (chunk << 15) | unnest(clients) as id from import_clients
            where import_id = any(cast(:imports as bigint[])) and chunk between {after} >> 15 and {last} >> 15
        ) of_chunks
        where id > {after} and id <= {last}
    )
"""
"""A part of a statement: as one array, the ids after `after`, up to `last`, of all clients whom any of `:imports` took.
As an array it leads to the clients by their key, whatever the statistics say."""
