"""The totals, held against the counters that they sum up."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from shared.domain.apart import IS_HIDDEN
from shared.domain.receipt import RECEIPTS
from shared.ledger.names import STATES

NAMES = ("mailings", "audience", *STATES)
"""The columns of `ledger_totals` that are summed up with the messages."""

ALL_NAMES = (*NAMES, *RECEIPTS)
"""Those of receipts, too."""


def totals_difference(connection: Connection) -> Mapping[str, int]:
    """What the totals have too much of, by name; nothing, unless rows were changed behind the service.

    As of one moment: whoever moves messages changes counters and totals in one transaction.
    """
    row = connection.execute(_DIFFERENCE).mappings().one()
    return {name: int(row[name]) for name in ALL_NAMES if row[name]}


# A mailing that is hidden is in the totals until it is finished.
_DIFFERENCE = text(f"""
    with kept as (select * from mailings where finished_at is null or not {IS_HIDDEN}),
    counted as (
        select (select count(*) from kept where not {IS_HIDDEN}) as mailings,
               (select coalesce(sum(audience), 0) from kept) as audience,
               {", ".join(f"coalesce(sum(c.{state}), 0) as {state}" for state in STATES)}
        from kept join mailing_counters c on c.mailing_id = kept.id
    ), received as (
        select {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in RECEIPTS)}
        from kept join receipt_counters r on r.mailing_id = kept.id
    ), total as (select {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in ALL_NAMES)} from ledger_totals)
    select {", ".join(f"(total.{name} - counted.{name})::bigint as {name}" for name in NAMES)},
           {", ".join(f"(total.{name} - received.{name})::bigint as {name}" for name in RECEIPTS)}
    from total, counted, received
""")


def mend_totals(connection: Connection, difference: Mapping[str, int]) -> None:
    """Takes a difference off the totals. It is still the difference, whatever has moved since it was read; two who mend
    would take it off twice (`shared.ledger.repair.lock`)."""
    connection.execute(_MEND, {name: -difference.get(name, 0) for name in ALL_NAMES})


_MEND = text(f"""
    insert into ledger_totals as t (slot, {", ".join(ALL_NAMES)})
    values (0, {", ".join(f":{name}" for name in ALL_NAMES)})
    on conflict (slot) do update set {", ".join(f"{name} = t.{name} + excluded.{name}" for name in ALL_NAMES)}
""")
