"""A real Prometheus asks real processes: what the rules need is there, silence is silence, and what stops is heard."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import yaml

from sandbox import deployment
from sandbox.processes import free_port
from sandbox.simulator.outage import Mode
from tests.e2e.system import System
from tests.long.conftest import GATE, RunSystem
from tests.support.prometheus import RULES, Prometheus, prometheus

GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
EXPRESSIONS = {rule.get("alert") or rule["record"]: rule["expr"] for group in GROUPS for rule in group["rules"]}
OURS = r"\b(?:api|dispatcher|feeder|messages|reporter|process)_\w+"
METRICS = {name for one in EXPRESSIONS.values() for name in re.findall(OURS, re.sub(r"\{[^}]*\}", "", one))}

SECRET = "s3cret-of-the-receipts"
CLIENTS = 20


def test_what_the_rules_ask_for_is_there_and_what_stops_is_heard(
    run_system: RunSystem, database_url: str, tmp_path: Path
) -> None:
    port, api_port, shown = free_port(), free_port(), {"api": free_port(), "reporter": free_port()}
    profile = tmp_path / "providers.toml"
    profile.write_text(GATE.format(port=port))
    system = run_system(
        database_url,
        None,
        *("--port", str(port), "--receipts", f"http://127.0.0.1:{api_port}/receipts/gate/{SECRET}/"),
        API_PORT=str(api_port),
        METRICS_PORT=str(shown["api"]),
        PROVIDERS_FILE=str(profile),
        PROVIDER_URL="",
        GATE_TOKEN="any",
        RECEIPTS_SECRET=SECRET,
        PROVIDER_TIMEOUT="2",
        dispatchers=1,
    )
    deployment.start_reporter(system.processes, system.env | {"METRICS_PORT": str(shown["reporter"])})
    targets = {name: [f"127.0.0.1:{number}"] for name, number in shown.items()}
    targets["dispatcher"] = [system.metrics_address(name) for name in system.dispatchers]
    with prometheus(targets) as watcher:
        system.fill(CLIENTS)
        system.until_over(system.mail())
        system.until(lambda: len(watcher.query("up == 1")) == 3, "all are asked")
        system.until(lambda: not _unknown(watcher) - WHEN_SOMETHING_IS_WRONG, "what a mailing leaves is there")
        assert watcher.query('api_receipts_total{provider="gate", result="unlisted"} == 0'), "before the first one"
        system.until(lambda: not watcher.alarms(), "nothing is wrong, and nothing is said")
        _the_provider_goes(system, watcher)
        _somebody_locks_a_mailing(system, watcher)
        assert not _unknown(watcher)
        assert {rule["name"]: rule["health"] for rule in watcher.rules()} == dict.fromkeys(EXPRESSIONS, "ok")
        for expression in EXPRESSIONS.values():
            watcher.query(expression)
        for name in system.dispatchers:
            assert system.processes.stop(name) == 0
        heard = {"DispatcherDown", "ProcessDown"}
        system.until(lambda: heard <= watcher.alarms(), "the dispatcher is missed")


OF_KEYS = {"api_keys_expiring"}
"""Of a service that asks for keys, as those of tests/integration/access do."""

WHEN_SOMETHING_IS_WRONG = {"dispatcher_breaker_open", "feeder_set_aside"}
"""Without series before the first time; they are gauges, of which the first one is seen."""


def _unknown(watcher: Prometheus) -> set[str]:
    """The metrics that rules ask for and nobody has."""
    found = watcher.query('count by (__name__) ({__name__=~"(api|dispatcher|feeder|messages|reporter|process)_.+"})')
    return METRICS - OF_KEYS - {one["metric"]["__name__"] for one in found}


def _the_provider_goes(system: System, watcher: Prometheus) -> None:
    system.simulator.outage(Mode.REFUSE)
    mailing_id = system.mail()
    system.until(lambda: "ProviderDown" in watcher.alarms(), "the provider is missed")
    system.simulator.end_outage()
    system.until_over(mailing_id)
    system.until(lambda: "ProviderDown" not in watcher.alarms(), "it is back")


def _somebody_locks_a_mailing(system: System, watcher: Prometheus) -> None:
    mailing_id = system.mail(starts=3)
    with _locked(system.database_url, mailing_id):
        system.until(lambda: "ChoreSetAside" in watcher.alarms(), "a chore that fails is heard")
    system.until_over(mailing_id)


@contextmanager
def _locked(database_url: str, mailing_id: int) -> Iterator[None]:
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select from mailings where id = %s for update", (mailing_id,))
            yield
    finally:
        connection.close()
