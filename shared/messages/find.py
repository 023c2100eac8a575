"""Single messages: by their id, and what a client was ever sent."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

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


def is_of_test(connection: Connection, mailing_id: int) -> bool:
    """Whether the mailing is a test, so that nothing of it reaches anybody."""
    return bool(connection.scalar(_IS_OF_TEST, {"mailing_id": mailing_id}))


_IS_OF_TEST = text("select test from mailings where id = :mailing_id")


def read_history(
    connection: Connection, client_id: int, limit: int, before: tuple[int, int] | None = None, *, is_test: bool = False
) -> Sequence[AnyRow]:
    """The rows of a client's messages, the latest mailings first: by part, and in a part by mailing.

    before: part and mailing of the last one of the page before; None: at the beginning. is_test: those of tests, and no
    other ones.
    """
    found: list[AnyRow] = []
    for part in connection.scalars(_FROM, {"part": before and before[0]}).all():
        behind = before[1] if before and before[0] == part else _NO_END
        page = {"part": part, "client_id": client_id, "mailing_id": behind, "test": is_test}
        found += connection.execute(_HISTORY, {**page, "limit": limit - len(found)})
        if len(found) == limit:
            break
    return found


def skip_history(
    connection: Connection, client_id: int, number: int, *, is_test: bool = False
) -> tuple[int, tuple[int, int] | None]:
    """How many messages a client has, and the part and mailing of the last one of the first `number` of them, behind
    which `read_history` goes on; None: it begins at the beginning. is_test: as there."""
    total, last = 0, None
    for part in connection.scalars(_FROM, {"part": None}).all():
        here = connection.scalar(_COUNT, {"part": part, "client_id": client_id, "test": is_test}) or 0
        if total < number and here:
            skipped = {"part": part, "client_id": client_id, "test": is_test}
            offset = {"offset": min(number - total, here) - 1}
            last = (part, connection.execute(_LAST, skipped | offset).scalar_one())
        total += here
    return total, last


_NO_END = 2**63 - 1
_FROM = text("""
    select number from parts where number <= coalesce(cast(:part as integer), number) order by number desc
""")


def of_kind(mailing: str) -> str:
    """A condition on a message of this mailing: it is of a test, or it is of none, as `:test` says."""
    return f"(select test from mailings where id = {mailing}) = :test"


_OF_KIND = of_kind("mailing_id")

# In the order of the unique index, which so is the only way to read them.
_HISTORY = text(f"""
    select * from messages
    where part = :part and client_id = :client_id and mailing_id < :mailing_id and {_OF_KIND}
    order by mailing_id desc limit :limit
""")
_COUNT = text(f"select count(*) from messages where part = :part and client_id = :client_id and {_OF_KIND}")
_LAST = text(f"""
    select mailing_id from messages where part = :part and client_id = :client_id and {_OF_KIND}
    order by mailing_id desc offset :offset limit 1
""")
