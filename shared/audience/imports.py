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
        select client_id, array_agg(import_id) as imports from (
            select (chunk << 15) | unnest(clients) as client_id, import_id from import_clients
            where import_id = any({imports}) and chunk between {after} >> 15 and {last} >> 15
        ) of_chunks
        where client_id > {after} and client_id <= {last}
        group by client_id
    )
"""
"""A part of a statement: the clients with ids after `after`, up to `last`, whom any of `imports` took, each with the
imports that did. Chunks at the borders are read whole."""
