"""Which members of a mailing's filter a client does not match."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.domain.filter import Filter


def unmatched(connection: Connection, wanted: Filter, client_id: int) -> Sequence[str]:
    """The names of the members, as in the filter, that a client does not match now; none: they match, or are not there.

    It asks what the launch asks (`shared.messages.create`), of one client.
    """
    members = {"codes": list(wanted.operator_codes), "tags": list(wanted.tags), "imports": list(wanted.imports)}
    return connection.scalar(_UNMATCHED, {"client_id": client_id, **members}) or []


_UNMATCHED = text("""
    select array_remove(array[
        case when cast(:codes as text[]) <> '{}' and operator_code <> all(cast(:codes as text[]))
            then 'operator_codes' end,
        case when cast(:tags as text[]) <> '{}' and tag <> all(cast(:tags as text[])) then 'tags' end,
        case when cast(:imports as bigint[]) <> '{}' and not exists (
                select from import_clients where import_id = any(cast(:imports as bigint[])) and chunk = id_ >> 15
                and cast(id_ & 32767 as smallint) = any(clients))
            then 'imports' end
    ], null)
    from (select id as id_, operator_code, tag from clients where id = :client_id) c
""")
