"""Single messages: by their id, and what a client was ever sent."""

from collections.abc import Iterator, Sequence
from functools import cache

from sqlalchemy import Connection, TextClause, text

from shared.messages.fragments import AnyRow, array


def find_message(connection: Connection, message_id: int) -> AnyRow | None:
    """The row of a message; None: there is no such message, or not any more.

    The mailings tell in which part it may be: those among whose ids it is, which are few. All parts would have to be
    planned, and that alone takes some tens of milliseconds where there are hundreds.
    """
    parts = connection.scalars(_PARTS, {"id": message_id}).all()
    if not parts:
        return None
    return connection.execute(_MESSAGE, {"parts": array(parts), "id": message_id}).one_or_none()


_PARTS = text("""
    select distinct part from mailings
    where int8range(first_message_id, last_message_id, '[]') @> cast(:id as bigint) and first_message_id is not null
""")
_MESSAGE = text("select * from messages where part = any(cast(:parts as integer[])) and id = :id")


def find_of_client(connection: Connection, part: int, mailing_id: int, client_id: int) -> AnyRow | None:
    """The row of the one message that a client has of a mailing; None: they have none, or not any more."""
    return connection.execute(_OF_CLIENT, {"part": part, "mailing_id": mailing_id, "client_id": client_id}).first()


_OF_CLIENT = text("""
    select * from messages where part = :part and client_id = :client_id and mailing_id = :mailing_id limit 1
""")


def read_history(
    connection: Connection, client_id: int, limit: int, before: tuple[int, int] | None = None, *, is_test: bool = False
) -> Sequence[AnyRow]:
    """The rows of a client's messages, the latest mailings first: by part, and in a part by mailing.

    before: part and mailing of the last one of the page before; None: at the beginning. is_test: those of tests, and no
    other ones.
    """
    found: list[AnyRow] = []
    for parts in _some(connection.scalars(_FROM, {"part": before and before[0]}).all()):
        places = {f"part_{number}": part for number, part in enumerate(parts)}
        behind = {f"behind_{number}": _NO_END for number in range(len(parts))}
        if before and before[0] == parts[0]:
            behind["behind_0"] = before[1]
        page = {**places, **behind, "client_id": client_id, "test": is_test, "limit": limit - len(found)}
        found += connection.execute(_history(len(parts)), page)
        if len(found) == limit:
            break
    return found


def skip_history(
    connection: Connection, client_id: int, number: int, *, is_test: bool = False
) -> tuple[int, tuple[int, int] | None]:
    """How many messages a client has, and the part and mailing of the last one of the first `number` of them, behind
    which `read_history` goes on; None: it begins at the beginning. is_test: as there."""
    total, last = 0, None
    for parts in _some(connection.scalars(_FROM, {"part": None}).all()):
        places = {f"part_{number}": part for number, part in enumerate(parts)}
        for part, here in connection.execute(_count(len(parts)), {**places, "client_id": client_id, "test": is_test}):
            if total < number and here:
                last = (part, min(number - total, here))
            total += here
    if last is None:
        return total, None
    skipped = {"part": last[0], "client_id": client_id, "test": is_test, "offset": last[1] - 1}
    return total, (last[0], connection.execute(_LAST, skipped).scalar_one())


_NO_END = 2**63 - 1
_FROM = text("""
    select number from parts where number <= coalesce(cast(:part as integer), number) order by number desc
""")


def of_kind(mailing: str) -> str:
    """A condition on a message of this mailing: it is of a test, or it is of none, as `:test` says."""
    return f"(select test from mailings where id = {mailing}) = :test"


_OF_KIND = of_kind("mailing_id")

_MOST = 64
"""Parts that one statement asks."""


def _some(parts: Sequence[int]) -> Iterator[Sequence[int]]:
    """The first one, two more, four more, and so on: most clients have what is asked for in the latest, and to ask each
    of a hundred apart takes 20 ms. A statement is planned for the parts that it names, and for no others."""
    start, size = 0, 1
    while start < len(parts):
        yield parts[start : start + size]
        start, size = start + size, min(2 * size, _MOST)


@cache
def _history(parts: int) -> TextClause:
    """Of so many parts, one behind the other. In each in the order of the unique index, which so is the only way to
    read them; the limit leaves those alone that come behind it."""
    each = (
        f"""(select * from messages
             where part = :part_{number} and client_id = :client_id and mailing_id < :behind_{number}
               and {_OF_KIND}
             order by mailing_id desc limit :limit)"""
        for number in range(parts)
    )
    return text(f"select * from ({' union all '.join(each)}) pages limit :limit")


@cache
def _count(parts: int) -> TextClause:
    each = (
        f"""select cast(:part_{number} as integer) as part, count(*) as number
            from messages where part = :part_{number} and client_id = :client_id and {_OF_KIND}"""
        for number in range(parts)
    )
    return text(" union all ".join(each))


# For those who read statements.
_HISTORY = _history(2)
_COUNT = _count(2)
_LAST = text(f"""
    select mailing_id from messages where part = :part and client_id = :client_id and {_OF_KIND}
    order by mailing_id desc offset :offset limit 1
""")
