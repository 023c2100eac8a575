"""A key from its making to its end: its last use, the warning, its successor, and what becomes of work under way."""

import io
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import REGISTRY
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api_service.access import expiry, last_use, store
from api_service.access.expiry import Expiry
from api_service.access.last_use import LastUse
from api_service.directory import batch
from api_service.web import key
from api_service.web.key import Scope, Token
from api_service.web.watch import ENDED
from shared import clock
from shared.database.engine import make_engine
from tests.support.api import HOUR, Api
from tests.support.api_server import Server
from tests.support.command import ROOT
from tests.support.database_faults import locked
from tests.support.keys_command import Run
from tests.support.locked_server import bearer, locked_server, make_key
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.keys_command_fixture",)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def row(engine: Engine, key_id: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text("select * from api_keys where id = :id"), {"id": key_id}).one()


# ---------------------------------------------------------------- an import that outlives its key


class SlowImport:
    """A file that never ends, with a line about every 20 ms, sent on a thread."""

    def __init__(self, server: Server, token: Token, name: str, first: int) -> None:
        self._url, self._token, self._first = f"{server.url}/clients/import/?name={name}", token, first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _send(self) -> None:
        headers = {**bearer(self._token), "Content-Type": "text/csv"}
        with suppress(requests.ConnectionError):  # the server answers and hangs up while we are still sending
            requests.post(self._url, data=self._lines(), headers=headers, timeout=60)

    def _lines(self) -> Iterator[bytes]:
        yield b"phone,tag\n"
        phone = self._first
        while not self._stop.wait(0.02):
            # So long, and so many, that what the server reads at a time is full soon.
            yield b"".join(b"%d,%s\n" % (phone + each, b"x" * 60) for each in range(100))
            phone += 100


def test_an_import_ends_soon_after_its_key(engine: Engine, database_url: str) -> None:
    admin = make_key(engine, Scope.ADMIN)
    revoked, kept = make_key(engine, Scope.WRITE), make_key(engine, Scope.WRITE)
    with locked_server(database_url) as server:

        def import_of(name: str) -> Any:
            url = f"{server.url}/clients/imports/?name={name}"
            found = requests.get(url, headers=bearer(admin), timeout=30).json()
            return found[0] if found else {"lines": 0}

        running = (
            SlowImport(server, revoked, "revoked", 79120000000),
            SlowImport(server, kept, "kept", 79260000000),
        )
        try:
            wait_until(lambda: import_of("revoked")["lines"] > 0 and import_of("kept")["lines"] > 0)
            assert requests.delete(f"{server.url}/keys/{revoked.id}/", headers=bearer(admin), timeout=30).ok
            began = clock.ticks()
            wait_until(lambda: import_of("revoked")["ended_at"] is not None)
            assert clock.ticks() - began < 8.0  # five are promised; without an end it would go on for an hour
            ended = import_of("revoked")
            assert ended["state"] == "broken"
            assert ended["failure"] == ENDED
            before = import_of("kept")["lines"]
            wait_until(lambda: import_of("kept")["lines"] > before)
        finally:
            for one in running:
                one.stop()
        assert import_of("kept")["state"] == "finished"
        with engine.connect() as connection:
            stored = connection.scalar(text("select count(*) from clients where phone < 79260000000"))
        assert stored == import_of("revoked")["lines"], "whole batches"
        assert 'api_refused_total{reason="revoked"} 1.0' in server.metrics()
        [line] = server.events("api_key_revoked")
        assert (line["key_id"], line["key"]) == (revoked.id, admin.id)


def test_an_import_whose_client_is_silent_ends_with_its_key_as_well(engine: Engine, database_url: str) -> None:
    """Its thread waits for the client, and its record does not."""
    token = make_key(engine, Scope.WRITE)
    head = f"POST /clients/import/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    with (
        locked_server(database_url) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection,
    ):
        lines = b"phone,tag\n" + b"".join(b"%d,%s\n" % (79120000000 + each, b"x" * 60) for each in range(1000))
        connection.sendall(f"{head}Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n".encode() + lines)
        wait_until(lambda: imported(engine, "count(*)"))
        with Session(engine) as session, session.begin():
            store.revoke(session, token.id)
        began = clock.ticks()
        wait_until(lambda: imported(engine, "max(failure)") == ENDED)
        assert clock.ticks() - began < 8.0


def imported(engine: Engine, what: str) -> object:
    with engine.connect() as connection:
        return connection.scalar(text(f"select {what} from imports"))


class Hourglass(io.BytesIO):
    """A file in the middle of which an hour passes."""

    def __init__(self, data: bytes, passes: Callable[[], None]) -> None:
        super().__init__(data)
        self._half, self._passes = len(data) // 2, passes

    def readinto(self, buffer: Any) -> int:
        if self.tell() > self._half:
            self._passes()
        return super().readinto(buffer)


def test_an_import_ends_when_its_key_expires(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    api, begun, ticks = Api(engine, auth=True), clock.now(), clock.ticks()
    token = make_key(engine, Scope.WRITE, begun + HOUR)
    monkeypatch.setattr(batch, "LINGER", HOUR.total_seconds())
    data = b"phone\n" + b"".join(b"%d\n" % (79120000000 + number) for number in range(50_000))

    def pass_an_hour() -> None:
        monkeypatch.setattr(clock, "now", lambda: begun + HOUR)
        monkeypatch.setattr(clock, "ticks", lambda: ticks + HOUR.total_seconds())
        api.app.extensions["watch"].look()

    body = {"input_stream": Hourglass(data, pass_an_hour), "content_length": len(data), "content_type": "text/csv"}
    answer = api("POST", "/clients/import/", headers=bearer(token), **body)
    assert (answer.status, answer.json["message"]) == (401, ENDED)
    assert api.execute("select failure from imports") == ENDED
    taken = api.execute("select lines from imports")
    # Whole batches of the half that was read, which are two; the second may not have been stored in time.
    assert taken == api.execute("select count(*) from clients")
    assert taken in (10_000, 20_000)


# ---------------------------------------------------------------- the last use


def test_the_last_use_is_written_once_a_minute_and_costs_a_request_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    use, token, other = LastUse(engine), make_key(engine, Scope.READ), make_key(engine, Scope.READ)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    now = clock.ticks()
    for second in range(120):
        monkeypatch.setattr(clock, "ticks", lambda second=second: now + second)
        for _ in range(10):
            use.note(token.id)
        use.write()
    assert len(statements) == 2
    use.write()
    assert len(statements) == 2
    assert row(engine, token.id).last_used_at is not None
    assert row(engine, other.id).last_used_at is None


def test_of_two_processes_the_later_use_counts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, token = LastUse(engine), LastUse(engine), make_key(engine, Scope.READ)
    now = clock.ticks()
    first.note(token.id)
    second.note(token.id)
    second.write()
    written = row(engine, token.id).last_used_at
    monkeypatch.setattr(clock, "ticks", lambda: now + 30)
    first.write()  # of half a minute ago: known
    assert row(engine, token.id).last_used_at == written


def test_what_the_database_does_not_take_is_tried_again(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = make_engine(database_url, "impatient", statement_timeout=0.2)
    use, token = LastUse(impatient), make_key(engine, Scope.READ)
    use.note(token.id)
    with locked(database_url, "api_keys"), pytest.raises(OperationalError):
        use.write()
    use.write()
    assert row(engine, token.id).last_used_at is None, "not every second"
    later = clock.ticks() + last_use.SELDOM
    monkeypatch.setattr(clock, "ticks", lambda: later)
    use.write()
    impatient.dispose()
    used = row(engine, token.id).last_used_at
    assert abs(used + MINUTE - datetime.now(UTC)) < MINUTE / 2  # the use, not the moment of the write


def test_a_key_that_is_being_changed_is_left_alone(engine: Engine) -> None:
    use, token = LastUse(engine), make_key(engine, Scope.READ)
    use.note(token.id)
    with Session(engine) as session, session.begin():
        store.revoke(session, token.id)
        session.flush()
        use.write()  # does not wait
    assert row(engine, token.id).last_used_at is None


# ---------------------------------------------------------------- the warning


def warned(engine: Engine, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[tuple[str, str]]:
    """Event and key of each warning that processes give, each looking once."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(expiry._log, "warning", lambda event, **about: told.append((event, about["key_id"])))
    for _ in range(times):
        Expiry(engine).look()
    return told


def test_a_key_that_expires_soon_is_warned_of_once_a_day(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    soon = make_key(engine, Scope.READ, now + 13 * DAY)
    for later in (now + 15 * DAY, now - DAY, None):
        make_key(engine, Scope.READ, later)
    gone = make_key(engine, Scope.READ, now + DAY)
    with Session(engine) as session, session.begin():
        store.revoke(session, gone.id)
    assert warned(engine, monkeypatch, times=3) == [("api_key_expires", soon.id)], "by one process for all"
    assert REGISTRY.get_sample_value("api_keys_expiring") == 1
    with engine.begin() as connection:
        connection.execute(text("update api_keys set warned_at = warned_at - interval '1 day'"))
    assert warned(engine, monkeypatch, times=3) == [("api_key_expires", soon.id)]
    with Session(engine) as session, session.begin():
        store.revoke(session, soon.id)
    assert warned(engine, monkeypatch) == []
    assert REGISTRY.get_sample_value("api_keys_expiring") == 0


def test_a_running_service_shows_last_use_and_expiry(engine: Engine, database_url: str) -> None:
    token = make_key(engine, Scope.ADMIN, clock.now() + 2 * DAY)
    with locked_server(database_url, API_WORKERS="2") as server:

        def used() -> object:
            [shown] = requests.get(f"{server.url}/keys/", headers=bearer(token), timeout=30).json()
            return shown["last_used_at"]

        assert row(engine, token.id).last_used_at is None
        wait_until(used)
        wait_until(lambda: "api_keys_expiring 1.0" in server.metrics())
        [warning] = server.events("api_key_expires")
        assert (warning["level"], warning["key_id"]) == ("warning", token.id)
        assert not server.events("chore_failed")


def test_chores_that_fail_cost_no_request_anything(engine: Engine, database_url: str) -> None:
    token = make_key(engine, Scope.READ)
    with locked_server(database_url) as server:
        assert requests.get(f"{server.url}/clients/", headers=bearer(token), timeout=30).ok  # the keys are at hand
        with superuser(engine) as connection:
            connection.execute(text("alter table api_keys drop column last_used_at"))
        wait_until(lambda: server.events("chore_failed"))
        assert requests.get(f"{server.url}/clients/", headers=bearer(token), timeout=30).ok


# ---------------------------------------------------------------- the successor


def command(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"DATABASE_URL": database_url, "LOG_FORMAT": "json"}
    return subprocess.run(
        [sys.executable, "-m", "api_service", "keys", *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_is_rotated_and_both_open_until_the_overlap_is_over(engine: Engine, database_url: str) -> None:
    api, old = Api(engine, auth=True), make_key(engine, Scope.WRITE)
    done = command(database_url, "rotate", old.id, "--overlap", "2", "--expires", "30")
    assert done.returncode == 0
    new = key.parsed(done.stdout.strip())
    assert new is not None
    assert new.secret not in done.stderr
    before, after = row(engine, old.id), row(engine, new.id)
    assert (after.name, after.scope) == (before.name, before.scope)
    assert timedelta(hours=1.9) < before.expires_at - clock.now() < timedelta(hours=2)
    assert 29 * DAY < after.expires_at - clock.now() <= 30 * DAY
    for token in (old, new):
        assert api("GET", "/clients/", headers=bearer(token)).status == 200
    with engine.begin() as connection:
        connection.execute(text("update api_keys set expires_at = now() where id = :id"), {"id": old.id})
    later = Api(engine, auth=True)
    assert [later("GET", "/clients/", headers=bearer(token)).status for token in (old, new)] == [401, 200]


def test_rotating_without_an_overlap_ends_the_old_key(engine: Engine, run: Run) -> None:
    old = make_key(engine, Scope.READ)
    assert run("rotate", old.id, "--overlap", "0").code == 0
    assert row(engine, old.id).expires_at <= clock.now()


def test_a_rotation_lengthens_no_key(engine: Engine, run: Run) -> None:
    ends = clock.now() + HOUR
    old = make_key(engine, Scope.READ, ends)
    assert run("rotate", old.id, "--expires", "90").code == 0
    assert row(engine, old.id).expires_at == ends


def test_a_rotation_that_makes_no_sense_changes_nothing(engine: Engine, run: Run) -> None:
    expiring, ended = make_key(engine, Scope.READ, clock.now() + DAY), make_key(engine, Scope.READ, clock.now() - DAY)
    revoked = make_key(engine, Scope.READ)
    with Session(engine) as session, session.begin():
        store.revoke(session, revoked.id)
    with engine.connect() as connection:
        before = connection.execute(text("select * from api_keys order by id")).all()
    for arguments, code, sentence in (
        ([expiring.id], 1, f"Key {expiring.id} expires: say with --expires how many days the new one is to last."),
        ([ended.id], 1, f"Key {ended.id} is expired: make a new one with `keys create`."),
        ([revoked.id], 1, f"Key {revoked.id} is revoked: make a new one with `keys create`."),
        (["0123456789ab"], 1, "There is no key 0123456789ab."),
        ([expiring.id, "--overlap", "-1"], 2, "argument --overlap"),
        ([expiring.id, "--overlap", "8761"], 2, "whole number of hours, 0 to 8760"),
        ([expiring.id, "--expires", "0"], 2, "whole number of days"),
        ([], 2, "required: ID"),
    ):
        done = run("rotate", *arguments)
        assert (done.code, done.out) == (code, "")
        assert sentence in done.err
    with engine.connect() as connection:
        assert connection.execute(text("select * from api_keys order by id")).all() == before


def test_every_change_of_a_key_leaves_a_line_and_no_secret(database_url: str, tmp_path: Path) -> None:
    adopted, file = key.new(), tmp_path / "api-key"
    file.write_text(str(adopted))
    made = command(database_url, "create", "--name", "shop", "--scope", "write")
    first = made.stdout.strip().split("_")[1]
    rotated = command(database_url, "rotate", first)
    second = rotated.stdout.strip().split("_")[1]
    told = {
        "api_key_made": (made, {"key_id": first, "key_name": "shop", "scope": "write"}),
        "api_key_rotated": (rotated, {"key_id": second, "instead_of": first, "key_name": "shop"}),
        "api_key_revoked": (command(database_url, "revoke", second), {"key_id": second, "key_name": "shop"}),
    }
    for name, (done, about) in told.items():
        [line] = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        assert line.items() >= {"event": name, **about}.items()
        assert not re.search(r"nsk_[0-9a-f]{12}_(?!\*)", done.stderr)
    adopt = command(database_url, "adopt", str(file), "--name", "first", "--scope", "admin")
    assert adopt.stderr.count("api_key_made") == 1
