"""The totals, held against the counters that they sum up."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from shared.ledger.names import STATES

NAMES = ("mailings", "audience", *STATES)
"""The columns of `ledger_totals` that are summed up."""


def mend_totals(connection: Connection) -> Mapping[str, int]:
    """What the totals had too much of, by name; nothing, unless rows were changed behind the service. It is mended.

    For the transaction of whoever calls it nobody writes totals: who moves messages waits, for as long as it takes to
    read the counters of all mailings. Totals are written last. So what is committed when the lock is there can be seen
    in both, and of the rest in neither.
    """
    connection.execute(_LOCK)
    row = connection.execute(_DIFFERENCE).mappings().one()
    difference = {name: int(row[name]) for name in NAMES}
    if any(difference.values()):
        connection.execute(_MEND, difference)
    return {name: number for name, number in difference.items() if number}


_LOCK = text("lock table ledger_totals in share row exclusive mode")

# A mailing that is deleted is in the totals until it is finished.
_DIFFERENCE = text(f"""
    with kept as (select * from mailings where deleted_at is null or finished_at is null),
    counted as (
        select (select count(*) from kept where deleted_at is null) as mailings,
               (select coalesce(sum(audience), 0) from kept) as audience,
               {", ".join(f"coalesce(sum(c.{state}), 0) as {state}" for state in STATES)}
        from kept join mailing_counters c on c.mailing_id = kept.id
    ), total as (select {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in NAMES)} from ledger_totals)
    select {", ".join(f"(total.{name} - counted.{name})::bigint as {name}" for name in NAMES)} from total, counted
""")

_MEND = text(f"""
    insert into ledger_totals as t (slot, {", ".join(NAMES)})
    values (0, {", ".join(f"- cast(:{name} as bigint)" for name in NAMES)})
    on conflict (slot) do update set {", ".join(f"{name} = t.{name} + excluded.{name}" for name in NAMES)}
""")
