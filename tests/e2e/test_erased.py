"""Erased is erased: nowhere is a digit of the phone or a value left, whatever happened to the client before."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pika
import psycopg2
import pytest
import requests
from sqlalchemy import make_url

from shared import clock
from shared.broker import topology
from shared.domain.retry import DEFAULT_LADDER
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.support import backup
from tests.support.waiting import HANGING

pytestmark = pytest.mark.timeout(300)

PHONE, SPELLED = "79161237604", "8 (916) 123-76-04"
VALUES = {"town": "Zarechny-on-Sea", "shoe": "Pumpkin-41"}
SAID = (PHONE, PHONE[1:], SPELLED, "123-76-04", *VALUES.values(), "crm-anna-7604", "tag-of-anna")


class Echo(BaseHTTPRequestHandler):
    """A provider that says in its answers whom they are about, as far as it is told: by the phone. It refuses what is
    said to be refused."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 400 if asked["text"] == "refuse" else 503 if asked["text"] == "wait" else 200
        words = f"{status}: +{asked['phone']} of Moscow"
        body = json.dumps({"code": 0 if status == 200 else 7, "message": words}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_nothing_is_found_anywhere(start_system: StartSystem, tmp_path: Path) -> None:
    with echo() as provider:
        system = start_system("rabbitmq", dispatchers=1, PROVIDER_URL=provider)
        client_id = happens_to_her(system)
        places = looked_at(system, tmp_path)
        assert {name for name in places if said(places[name])} == {"database", "answers"}  # no log, and no queue
        before = figures(system)
        system.api.delete_client(client_id, erase=True)
        a_day_passes(system)
        places = looked_at(system, tmp_path)
        assert {name: said(text) for name, text in places.items() if said(text)} == {}
        after = figures(system)
        assert [one["audience"] for one in after] == [one["audience"] for one in before]
        assert sum(one["sent"] for one in after) == sum(one["sent"] for one in before) > 0
        for place in PUT_BACK:
            execute(system.database_url, place)
            assert said(dump(system, tmp_path)), place
            execute(system.database_url, TAKEN_AGAIN)
            assert not said(dump(system, tmp_path))


def happens_to_her(system: System) -> int:
    """Everything that leaves a trace."""
    anna = system.api.create_client(
        PHONE, attributes=VALUES, reference="crm-anna-7604", tag="tag-of-anna", idempotency_key="anna"
    )
    client_id: int = anna["id"]
    url = f"http://127.0.0.1:{system.env['API_PORT']}"
    again = requests.post(f"{url}/clients/", json={"phone": PHONE}, timeout=30)
    assert again.status_code == 409
    for path in (f"/clients/?phone={PHONE}", f"/clients/?tag={SPELLED}", f"/clients/{SPELLED}/", f"/clients/{PHONE}/"):
        requests.get(f"{url}{path}", timeout=30)
    wrong = {"phone": PHONE, "timezone": "Nowhere", "attributes": VALUES}
    lines = [json.dumps(wrong), json.dumps({"phone": SPELLED, "attributes": VALUES})]
    body = gzip.compress("\n".join(lines).encode())
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert requests.post(f"{url}/clients/import/", data=body, headers=headers, timeout=30).json()["refused"] == 2
    system.api.suppress("79990000000")
    for text in ("hello", "refuse", "{{ town }}", "{{ shoe | append: '!' }}"):
        system.until_figures(system.mail(text=text), lambda one: one["state"] == "finished", "it is over")
    waits = system.mail(text="wait")
    system.until_figures(waits, lambda one: sum(one["errors"].values()) > 0, "it waits")
    system.mail(text="later", send_window=_closed())
    return client_id


def _closed() -> tuple[str, str]:
    """Hours in which it is not now, in UTC."""
    hour = (clock.now() + timedelta(hours=5)).hour
    return f"{hour:02}:00", f"{hour:02}:30"


def a_day_passes(system: System) -> None:
    """What goes within a day has gone: whoever takes the lead, or starts to answer, begins with it."""
    execute(
        system.database_url,
        "update erasures set at = at - interval '1 day'; update kept_answers set made_at = made_at - interval '1 day'",
    )
    for name in ("dispatcher-1", "api"):
        assert system.processes.stop(name) == 0
    system.start_api()
    system.start_dispatcher("dispatcher-1")
    gone = "select (select count(*) from erasures) + (select count(*) from kept_answers)"
    system.until(lambda: execute(system.database_url, gone) == 0, "what is left has gone", HANGING)


def looked_at(system: System, directory: Path) -> dict[str, str]:
    """All there is, by where it is."""
    server = Path(make_url(system.database_url).query["host"])  # type: ignore[arg-type]
    return {
        "database": dump(system, directory),
        "log": system._log.path.read_text("utf-8"),
        "log of PostgreSQL": (server / "log").read_text("utf-8", "replace"),
        "queues": queues(system.env["BROKER_URL"]),
        "answers": answers(f"http://127.0.0.1:{system.env['API_PORT']}"),
        "metrics": metrics(system),
        "report": report(system),
    }


def dump(system: System, directory: Path) -> str:
    file = directory / "dump"
    backup.dump_as_text(system.database_url, file)
    return file.read_text("utf-8")


def said(text: str) -> set[str]:
    return {one for one in SAID if one in text}


def queues(url: str) -> str:
    """What lies in them; it is put back."""
    bodies = []
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        for queue in topology.queues(DEFAULT_LADDER):
            try:
                channel.queue_declare(queue.name, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                channel = connection.channel()
                continue
            while (got := channel.basic_get(queue.name))[0]:
                bodies.append(f"{got[1]} {got[2]!r}")
    return "\n".join(bodies)


def answers(url: str) -> str:
    """Of every GET that the document has, for the first ids of everything."""
    found = []
    paths = requests.get(f"{url}/openapi.json", timeout=30).json()["paths"]
    for path in (path for path, methods in paths.items() if "get" in methods):
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        for number in range(1, 9) if names else [1]:
            address = path
            for name in names:
                address = address.replace(f"{{{name}}}", str(number))
            found.append(requests.get(f"{url}{address}", timeout=30).text)
    return "\n".join(found)


def metrics(system: System) -> str:
    port = system._metrics_ports["dispatcher-1"]
    return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text


def report(system: System) -> str:
    day = clock.now().date() - timedelta(days=1)
    execute(system.database_url, YESTERDAY)
    system.processes.start("print", "dispatcher_service.reporter", system.env, "--once", "--print", "--date", str(day))
    assert system.processes.wait("print", HANGING) == 0
    return "\n".join(system.processes.output("print"))


YESTERDAY = """
    with moved as (delete from tallies where quarter >= current_date returning *)
    insert into tallies as t (mailing_id, quarter, slot, name, count)
    select mailing_id, quarter - interval '1 day', slot, name, count from moved
    on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count
"""


def figures(system: System) -> list[Any]:
    return [system.figures(one["id"]) for one in system.api.mailings()]


PUT_BACK = (
    f"update messages set phone = {PHONE} where id = (select min(id) from messages)",
    f"update attempts set words = '{VALUES['town']}' where message_id = (select min(message_id) from attempts)",
    f'update imports set errors = \'[{{"line": 1, "errors": {{}}, "value": "{SPELLED}"}}]\'',
    f"insert into refused_lines (import_id, lines) values (1, '[[1, {{}}, \"{PHONE}\"]]')",
    f"insert into erasures (client_id, phone) values (1, {PHONE})",
    f"insert into mailing_standings (mailing_id, words) values (0, '{PHONE}')",
    f"insert into broker_jobs (queue, body) values ('message.dead', '{PHONE}')",
    f"insert into suppressions (digest, key_version, phone) values ('x', 1, {PHONE})",
)
TAKEN_AGAIN = """
    update messages set phone = null where id = (select min(id) from messages);
    update attempts set words = null; update imports set errors = '[]'; delete from refused_lines;
    delete from erasures; delete from mailing_standings where mailing_id = 0; delete from broker_jobs;
    delete from suppressions where digest = 'x'
"""


def execute(url: str, statement: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]
