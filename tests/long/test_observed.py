"""A real Prometheus asks real processes: what rules and boards need is there, what should move on a board moves while a
mailing goes out, silence is silence, and what stops is heard."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import requests
import yaml

from sandbox import deployment
from sandbox.processes import free_port
from sandbox.simulator.faults import Faults
from sandbox.simulator.outage import Mode
from tests.e2e.system import System
from tests.long.conftest import GATE, RunSystem
from tests.support.boards import Query, boards, queries
from tests.support.prometheus import RULES, Prometheus, prometheus

GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
EXPRESSIONS = {rule.get("alert") or rule["record"]: rule["expr"] for group in GROUPS for rule in group["rules"]}
OURS = r"\b(?:api|dispatcher|feeder|messages|reporter|process)_\w+"
METRICS = {name for one in EXPRESSIONS.values() for name in re.findall(OURS, re.sub(r"\{[^}]*\}", "", one))}

SECRET = "s3cret-of-the-receipts"
SEVERAL = "several"
CLIENTS, FEW = 600, 20
"""A mailing to all of them takes longer than the gauges of the leader take to follow, and makes more than the hundred
calls that shares are told of. The others go to a few."""

QUERIES = queries(boards())


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
        DISPATCH_RATE="50",
        dispatchers=1,
    )
    deployment.start_reporter(system.processes, system.env | {"METRICS_PORT": str(shown["reporter"])})
    targets = {name: [f"127.0.0.1:{number}"] for name, number in shown.items()}
    targets["dispatcher"] = [system.metrics_address(name) for name in system.dispatchers]
    with prometheus(targets) as watcher:
        since = time.time()
        system.until(lambda: len(watcher.query("up == 1")) == 3, "all are asked")
        system.fill(CLIENTS - FEW)
        system.fill(FEW, tag=SEVERAL)
        system.simulator.set_faults(Faults(latency_ms=100, jitter_ms=400))
        system.until_over(system.mail())
        system.until(lambda: not _unknown(watcher) - WHEN_SOMETHING_IS_WRONG, "what a mailing leaves is there")
        assert watcher.query('api_receipts_total{provider="gate", result="unlisted"} == 0'), "before the first one"
        system.until(lambda: not watcher.alarms(), "nothing is wrong, and nothing is said")
        _the_boards_show_it(system, watcher, since)
        _the_provider_goes(system, watcher)
        _somebody_locks_a_mailing(system, watcher)
        _somebody_sends_receipts(system, watcher, f"http://127.0.0.1:{api_port}/receipts/gate")
        trouble = [one for one in QUERIES if (one.panel, one.ref) in TROUBLE]
        _until_all(system, watcher, since, trouble, _is_there)
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


# ---- the boards

NOT_HERE = {
    ("Keys that expire", "A"): "of a service that asks for keys",
    ("Reports", "B"): "no report is due while this runs",
}

TROUBLE = {
    ("Alarms", "A"),
    ("Breaker", "A"),
    ("Errors, by kind", "A"),
    ("Mailings for which a chore fails, by chore", "A"),
    ("Requests refused, by reason", "A"),
}
"""Without values before something goes wrong."""

AT_REST = {
    ("Processes that answer", "A"): "nobody stops",
    ("Dispatchers that lead", "A"): "nobody stops",
    ("Dispatchers", "A"): "nobody stops",
    ("Dispatchers", "B"): "two do what there is to do",
    ("Reports", "A"): "none is due",
    ("Processes, by version", "A"): "there is one version",
    ("Share of requests that fail", "A"): "none fails",
    ("Differences of the ledger", "A"): "there are none",
    ("Differences of the ledger", "B"): "there are none",
    ("Mailings that do not get on", "A"): "the provider refuses nobody",
    ("Mailings that do not get on", "B"): "the provider refuses nobody",
    ("Accepted, and the limit", "B"): "a limit",
    ("Not sent for good, by reason", "A"): "all are sent",
    ("Not sent for good, by reason", "B"): "all are sent",
    ("Handed back, by reason", "A"): "all are called",
    ("Share of calls that are accepted", "A"): "all are",
    ("Calls in flight, and how many may be", "B"): "a limit",
    ("Pace, and the limit of the profile", "A"): "the provider takes all",
    ("Pace, and the limit of the profile", "B"): "a limit",
    ("Part of its weight that counts", "A"): "it neither errs nor is slower than others",
    ("Share of calls that repeat one", "A"): "no answer is lost",
    ("Receipts that are not the provider's", "A"): "all are its own",
    ("Answers", "A"): "both do",
    ("Jobs that could not be read", "A"): "all can",
    ("Out of time", "A"): "nobody is killed",
    ("Out of time", "B"): "nobody is killed",
    ("Out of time", "C"): "the clock goes on",
    ("Transactions that are tried again, by dispatcher", "A"): "the database is there",
    ("Connections to the broker that were lost, by dispatcher", "A"): "the broker is there",
    ("Removed, because it was kept for long enough", "A"): "nothing is so old",
}
"""They have values, which may stay as they are while a mailing goes out."""


def _the_boards_show_it(system: System, watcher: Prometheus, since: float) -> None:
    """A mailing has gone out since then, and nothing was wrong."""
    of = {(one.panel, one.ref): one for one in QUERIES}
    assert NOT_HERE.keys() | TROUBLE | AT_REST.keys() <= of.keys(), "of a panel that is gone"
    shown = of.keys() - NOT_HERE.keys() - TROUBLE
    _until_all(system, watcher, since, [of[key] for key in shown], _is_there)
    _until_all(system, watcher, since, [of[key] for key in shown - AT_REST.keys()], _has_moved)
    misspelt, rigid = (
        Query("overview", "Spoilt", "A", expression) for expression in ("sum(feeder_leeder)", "count(up)")
    )
    assert not _is_there(_shown(watcher, misspelt, since)), "would be found"
    assert not _has_moved(_shown(watcher, rigid, since)), "would be found"


Shown = dict[str, set[str]]
"""The values that each series of a query has had."""


def _is_there(shown: Shown) -> bool:
    return bool(shown)


def _has_moved(shown: Shown) -> bool:
    return any(len(values) > 1 for values in shown.values())


def _until_all(
    system: System, watcher: Prometheus, since: float, queries: Sequence[Query], wanted: Callable[[Shown], bool]
) -> None:
    left = list(queries)

    def look() -> bool:
        left[:] = [one for one in left if not wanted(_shown(watcher, one, since))]
        return not left

    try:
        system.until(look, wanted.__name__)
    except pytest.fail.Exception as error:
        raise AssertionError(left) from error


def _shown(watcher: Prometheus, query: Query, since: float) -> Shown:
    """What is no number is not shown: a share of nothing."""
    found = {series: values - {"NaN"} for series, values in watcher.values(query.asked(), since).items()}
    return {series: values for series, values in found.items() if values}


# ---- what goes wrong


def _somebody_sends_receipts(system: System, watcher: Prometheus, url: str) -> None:
    """One that is not the provider's, and one of the provider's with a status that its profile does not know."""
    assert requests.post(f"{url}/{SECRET[::-1]}/", json=[], timeout=10).status_code == 403
    system.expect("receipt_status_unlisted")
    for _ in range(2):
        requests.post(f"{url}/{SECRET}/", json=[{"id": "1", "status": "odd"}], timeout=10).raise_for_status()
    heard = {"ReceiptsForged", "ReceiptsNotUnderstood"}
    system.until(lambda: heard <= watcher.alarms(), "receipts that are not understood are heard")


def _the_provider_goes(system: System, watcher: Prometheus) -> None:
    system.simulator.outage(Mode.REFUSE)
    mailing_id = system.mail(tags=[SEVERAL])
    system.until(lambda: "ProviderDown" in watcher.alarms(), "the provider is missed")
    system.simulator.end_outage()
    system.until_over(mailing_id)
    system.until(lambda: "ProviderDown" not in watcher.alarms(), "it is back")


def _somebody_locks_a_mailing(system: System, watcher: Prometheus) -> None:
    mailing_id = system.mail(starts=3, tags=[SEVERAL])
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
