"""Parts: `messages`, and the tables of what belongs to one, are partitioned by a number that a mailing gets at its
launch.

A part is made apart and attached when it is ready, which holds up nobody: no claim, no launch, no reader.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

_OF_A_PART = {
    "messages": (
        # Of the id alone, so that the planner knows that it is one row though nobody has analysed the part.
        "add primary key (id)",
        # One client gets one message of a mailing, which is in one part. The way to what a client was ever sent, too.
        "add unique (client_id, mailing_id)",
        # Every row is updated a few times within minutes, and then never again: room for the new versions on the same
        # page, and a vacuum that starts long before a fifth of a large part is dead.
        """set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000,
                autovacuum_vacuum_cost_delay = 0)""",
    ),
    "attempts": (),
    "receipts": ("set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000)",),
    "message_references": (),
}
TABLES = tuple(_OF_A_PART)
"""Those that have parts."""


def table_of(name: str, number: int) -> str:
    """The table that holds the rows of a part: `messages_7`."""
    return f"{name}_{number}"


def make_part(connection: Connection) -> int:
    """Makes the part that comes after the last one, in the caller's transaction; its number.

    Launches go to the part with the lowest number that is not closed. Two who make one at the same time make two.
    """
    connection.execute(_IN_TURN)
    number = int(connection.execute(_NEXT).scalar_one())
    for name in TABLES:
        _make_table(connection, name, number)
    return number


def complete_parts(connection: Connection) -> Sequence[str]:
    """Makes the tables that parts lack: those that were made by an older version, which did not know of them. What was
    made."""
    connection.execute(_IN_TURN)
    missing = connection.execute(_MISSING, {"tables": list(TABLES)}).all()
    for name, number in missing:
        _make_table(connection, name, number)
    return [table_of(name, number) for name, number in missing]


def lacks_tables(connection: Connection) -> bool:
    """Whether there is something to complete; asked without a lock."""
    return connection.execute(_MISSING, {"tables": list(TABLES)}).first() is not None


def _make_table(connection: Connection, name: str, number: int) -> None:
    part = table_of(name, number)
    connection.execute(text(f"create table {part} (like {name} including all)"))
    for change in _OF_A_PART[name]:
        connection.execute(text(f"alter table {part} {change}"))
    connection.execute(text(f"alter table {name} attach partition {part} for values in ({number})"))


# Of a part that is on its way out some are gone already.
_MISSING = text("""
    select name, number from parts cross join unnest(cast(:tables as text[])) name
    where to_regclass(name || '_' || number) is null and to_regclass('messages_' || number) is not null
      and (closed_at is null or exists (select from mailings where part = number and messages_removed_at is null))
    order by number, name
""")


_IN_TURN = text("lock table parts in share row exclusive mode")  # readers, and so launches, go on
_NEXT = text("insert into parts (number) select coalesce(max(number), 0) + 1 from parts returning number")
