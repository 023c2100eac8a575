"""The dispatcher's process: `python -m dispatcher_service`."""

import os
import resource
import shutil
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import FrameType

from prometheus_client import start_http_server
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.guarded import GuardedBroker
from dispatcher_service.leading.lead import Leader
from dispatcher_service.pipeline.worker import Worker
from dispatcher_service.sending import memory
from dispatcher_service.sending.renewal import Renewal
from shared import garbage, logs, metrics, settings
from shared.broker.backoff import backoff
from shared.broker.choice import choose
from shared.broker.memory import recall
from shared.database import schema
from shared.database.access import ensure_database
from shared.database.ids import GivenIds, why_behind
from shared.database.lead import DISPATCHER
from shared.domain.errors import SettingsError
from shared.domain.profile.receiving import receipt_url
from shared.domain.retention import Retention
from shared.metrics_port import listen_there_or_anywhere
from shared.own_metrics import DISPATCHER as DISPATCHERS_METRICS
from shared.own_metrics import OF_THE_PROCESS, registry_of
from shared.providers.loading import load_providers
from shared.settings import Settings

_LOOK_EVERY = 1.0
_OTHER_DESCRIPTORS = 128
"""File descriptors that are taken by everything but provider calls."""


def main() -> int:
    try:
        return run(settings.load())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2


def run(configuration: Settings) -> int:
    """Until SIGTERM or SIGINT; a second one ends the process at once. SIGHUP changes nothing. Raises SettingsError."""
    logs.setup("dispatcher", configuration.log_level, configuration.log_format)
    log = logs.logger()
    renewal = Renewal(load_providers(configuration), partial(receipt_url, public_url=configuration.public_url))
    concurrency = sum(dialect.provider.limits.concurrency for dialect in renewal.dialects)
    stop, hung_up = _hear_signals()
    _allow_descriptors(concurrency)
    memory.spare(concurrency)
    metrics_port = _show_metrics(configuration.metrics_host, configuration.metrics_port, configuration.data_dir)
    database = ensure_database(configuration)
    broker = choose(configuration.broker_url, database.direct_url, configuration.retry_ladder)
    if configuration.database_url is None:
        # Imported here because a deployment brings its schema up to date elsewhere, and it takes 10 MB.
        from shared import migrate  # noqa: PLC0415

        migrate.upgrade(database.direct_url)
    engine, leading = database.engine(DISPATCHER), database.direct_engine(DISPATCHER)
    if not _wait_for_schema(engine, stop):
        return 0
    ids = GivenIds()
    ids.learn(recall(broker))
    if why := why_behind(engine, ids):
        raise SettingsError(why)
    event.listen(engine, "connect", ids.check)
    event.listen(leading, "connect", ids.check)

    def learn(number: int) -> None:
        metrics.KNOWN_ID.set(ids.learn(number))

    guarded = GuardedBroker(broker, database.engine("ids", pool_size=1), ids)
    worker = Worker(
        engine,
        guarded,
        configuration.retry_policy,
        renewal.dialects,
        rate=configuration.dispatch_rate,
        learn=learn,
    )
    leader = Leader(
        leading,
        guarded,
        attempts=configuration.retry_attempts,
        rate=configuration.dispatch_rate,
        longest_rung=configuration.retry_ladder[-1],
        lease=worker.lease,
        concurrency=concurrency,
        learn=learn,
        retention=Retention(configuration.retention_days),
    )
    metrics.RATE_LIMIT.set(configuration.dispatch_rate)
    log.info(
        "dispatcher_started",
        metrics_port=metrics_port,
        concurrency=concurrency,
        providers=[dialect.provider.name for dialect in renewal.dialects],
    )
    garbage.collect_seldom()
    worker.start()
    leader.start()
    while not stop.wait(_LOOK_EVERY):
        if not worker.is_alive or not leader.is_alive:
            log.critical("thread_died")  # a defect; whoever started us starts us again, and the leases run out
            return 1
        if guarded.refusal:
            break  # as at the start, where the broker was not there to be asked
        renewal.look()
        if hung_up.is_set():
            hung_up.clear()
            log.info(
                "hangup_ignored", why="settings are read at the start: start another dispatcher, and stop this one"
            )
    log.info("dispatcher_stopping")
    leader.stop()
    all_recorded = worker.stop()
    leader.join(0.5)  # it had all the time that the worker took
    engine.dispose()
    leading.dispose()
    log.info("dispatcher_stopped", all_recorded=all_recorded)
    if guarded.refusal:
        raise SettingsError(guarded.refusal)
    return 0 if all_recorded else 1


def _hear_signals() -> tuple[threading.Event, threading.Event]:
    """Set when the process is to stop, and when it is hung up."""
    stop, hung_up = threading.Event(), threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGHUP, lambda *_: hung_up.set())
    return stop, hung_up


def _show_metrics(host: str, port: int, data_dir: Path) -> int:
    """The port that they are served on."""
    for place, directory in {"data": data_dir.absolute(), "program": Path(__file__).parent}.items():
        metrics.DISK_FREE.labels(place).set_function(partial(_free_share, directory))
    registry = registry_of(*DISPATCHERS_METRICS, *OF_THE_PROCESS)
    server, _ = listen_there_or_anywhere(lambda port: start_http_server(port, host, registry), port)
    return int(server.server_port)


def _free_share(directory: Path) -> float:
    """Of the disk that this directory is on, or would be: without an embedded database nobody makes it."""
    disk = shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists()))
    return disk.free / disk.total if disk.total else 1.0


def _wait_for_schema(engine: Engine, stop: threading.Event) -> bool:
    """Waits until the database was migrated, and says what for; False: it was told to stop. What else is wrong with the
    database, the threads say: they wait for it as well."""
    for pause in backoff(first=1.0, longest=10.0):
        try:
            if schema.is_up_to_date(engine):
                return True
        except SQLAlchemyError:
            return True
        logs.logger().warning("schema_missing", run="python -m shared.migrate", again_in=round(pause, 1))
        if stop.wait(pause):
            return False
    raise AssertionError("it waits without end")


def _allow_descriptors(concurrency: int) -> None:
    """A call takes one, or two while its connection is being made. The usual soft limit is 1 024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited, wanted = resource.RLIM_INFINITY, 2 * concurrency + _OTHER_DESCRIPTORS
    if hard != unlimited and hard < concurrency + _OTHER_DESCRIPTORS:
        raise SettingsError(f"DISPATCH_CONCURRENCY is {concurrency}, but the system allows only {hard} open files.")
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == unlimited else min(wanted, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
