"""How many dispatchers a mailing wants, by the figures of one that sends it."""

from contextlib import closing

import psycopg2

from deploy.manifests import KUBERNETES, build
from sandbox.simulator.faults import Faults
from tests.long.conftest import RunSystem

CLIENTS, LASTS = 2_000, 240
SLOW = Faults(latency_ms=250)
"""With one call at a time a dispatcher so sends four messages a second at the most, and would take twice as long."""


def test_one_that_cannot_meet_the_end_wants_others_and_with_them_it_is_met(
    run_system: RunSystem, database_url: str
) -> None:
    (scaled,) = (one["spec"] for one in build(KUBERNETES / "scaling") if one["kind"] == "ScaledObject")
    query = scaled["triggers"][0]["metadata"]["query"]
    system = run_system(database_url, None, dispatchers=1, DISPATCH_CONCURRENCY="1")
    system.simulator.set_faults(SLOW)
    system.fill(CLIENTS)
    mailing_id = system.mail(lasts=LASTS)
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def asked() -> int:
            cursor.execute(query)
            [(number,)] = cursor.fetchall()
            return int(number)

        wanted = system.until(lambda: (number := asked()) > 2 and number, "it wants more than two", within=60)
        print(f"{wanted} dispatchers wanted")
        assert wanted < 10, "not many times what it takes"
        for number in range(2, wanted + 1):
            system.start_dispatcher(f"dispatcher-{number}")
        messages = system.until_over(mailing_id, within=LASTS)
        assert {message["status"] for message in messages.values()} == {"sent"}, "the end was met"
        system.until(lambda: asked() == 2, "nobody else is needed", within=60)
