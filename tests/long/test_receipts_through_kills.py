"""Receipts before and after the results, twice and out of order, while processes are killed: the books balance."""

import signal
from pathlib import Path

import psutil

from notification_client.client import Json
from sandbox.processes import free_port
from sandbox.simulator.faults import Faults
from tests.e2e.system import System
from tests.long.conftest import GATE, RunSystem

CLIENTS = 1_200
SECRET = "a-secret-of-this-test"


def test_receipts_through_kills(run_system: RunSystem, database_url: str, tmp_path: Path) -> None:
    port, api_port = free_port(), free_port()
    profile = tmp_path / "providers.toml"
    profile.write_text(GATE.format(port=port))
    system = run_system(
        database_url,
        None,
        *("--port", str(port), "--control-port", "0", "--seed", "1"),
        *("--receipts", f"http://127.0.0.1:{api_port}/receipts/gate/{SECRET}/"),
        *("--receipts-after", "0.3", "--receipts-twice", "0.3", "--receipts-interim", "0.3"),
        API_PORT=str(api_port),
        PROVIDERS_FILE=str(profile),
        PROVIDER_URL="",
        GATE_TOKEN="any",
        RECEIPTS_SECRET=SECRET,
        DISPATCH_RATE="150",
        PROVIDER_TIMEOUT="2",
    )
    system.expect("database_unavailable")
    system.expect("worker_ended")
    system.fill(CLIENTS)
    system.simulator.set_faults(Faults(latency_ms=400))  # a receipt comes before the answer, or after it
    mailing_id = system.mail()

    system.until_sent(mailing_id, CLIENTS // 5)
    system.processes.kill("dispatcher-1")
    system.start_dispatcher("dispatcher-3")
    _kill_worker(system)
    system.until_sent(mailing_id, 2 * CLIENTS // 5)
    system.processes.kill("api")
    system.begin_api()
    system.processes.wait_http("api", f"http://127.0.0.1:{api_port}/health/ready")

    def is_known(figures: Json) -> bool:
        receipts = figures["receipts"]
        assert receipts["delivered"] + receipts["undelivered"] + receipts["awaiting"] == figures["sent"]
        assert receipts["awaiting"] >= 0
        return bool(figures["sent"] == CLIENTS and receipts["awaiting"] == 0)

    figures = system.until_figures(mailing_id, is_known, "what became of every message is known", within=180)
    messages = system.until_over(mailing_id)
    undelivered = {message_id for message_id in messages if message_id % 10 == 0}
    assert figures["receipts"] == {
        "delivered": CLIENTS - len(undelivered), "undelivered": len(undelivered), "awaiting": 0,
        "unknown_delivered": 0, "unknown_undelivered": 0,
    }  # fmt: skip
    for message_id, message in messages.items():
        wanted = ("undelivered", "absent") if message_id in undelivered else ("delivered", None)
        assert (message["receipt"], message["receipt_reason"]) == wanted
    assert system.api.statistics()["receipts"] == figures["receipts"]


def _kill_worker(system: System) -> None:
    """One of those that take receipts; its successor comes by itself."""
    master = psutil.Process(system.processes.pid("api"))
    workers = system.until(master.children, "the API has workers")
    min(workers, key=lambda worker: worker.pid).send_signal(signal.SIGKILL)
