"""A directory of many clients, made by the database itself."""

from benchmarks.services import asking


def fill(database_url: str, count: int, rare: int) -> None:
    """So many clients with attributes, of a hundred operator codes, eight time zones and five tags.

    rare: one in so many has made a certain number of visits.
    """
    with asking(database_url) as ask:
        indexes = ask(_INDEXES)  # made afterwards they take a tenth of the time
        for name, _ in indexes:
            ask(f"drop index {name}")
        ask(_CLIENTS, rare, count)
        ask("set maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            ask(definition)
        ask("vacuum analyze clients")


_INDEXES = """
    select indexname, indexdef from pg_indexes
    where tablename = 'clients' and indexname not in (select conname from pg_constraint)
"""

_CLIENTS = """
    insert into clients (phone, operator_code, tag, timezone, attributes)
    select 79000000000 + n, (900 + n %% 100)::text,
        (array['new', 'regular', 'loyal', 'vip', ''])[1 + (hashint8(n) & 1023) %% 5],
        (array['Europe/Moscow', 'Europe/Moscow', 'Europe/Moscow', 'Asia/Omsk', 'Asia/Yekaterinburg', 'Asia/Irkutsk',
               'Asia/Vladivostok', 'Europe/Samara', 'Asia/Krasnoyarsk', 'Asia/Novosibirsk'])[1 + n %% 10],
        jsonb_build_object('city', 'City ' || n %% 10, 'visits', (hashint8(n) & 1048575) %% %s, 'is_member', n %% 3 = 0)
    from generate_series(0, %s - 1) n
"""
