"""The dispatcher's process: `python -m dispatcher_service`."""

import os
import signal
import sys
import threading
from types import FrameType

from prometheus_client import start_http_server

from dispatcher_service.feeder import Feeder
from dispatcher_service.worker import Worker
from shared import database, logs, migrate, settings
from shared.broker.choice import choose
from shared.errors import SettingsError
from shared.settings import Settings

_LOOK_EVERY = 1.0


def main() -> int:
    try:
        configuration = settings.load()
        logs.setup("dispatcher", configuration.log_level, configuration.log_format)
        url = database.database_url(configuration)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if configuration.database_url is None:
        migrate.upgrade(url)
    return run(configuration, url)


def run(configuration: Settings, url: str) -> int:
    """Until SIGTERM or SIGINT; a second one ends the process at once."""
    log = logs.logger()
    server, _ = start_http_server(configuration.metrics_port)
    engine = database.engine(url, "dispatcher", pool_size=3)
    broker = choose(configuration.broker_url, url, configuration.retry_ladder)
    worker = Worker(
        engine,
        broker,
        configuration.retry_policy,
        provider_url=configuration.provider_url,
        provider_token=configuration.provider_token,
        timeout=configuration.provider_timeout,
        concurrency=configuration.dispatch_concurrency,
        rate=configuration.dispatch_rate,
    )
    feeder = Feeder(engine, broker, attempts=configuration.retry_attempts, rate=configuration.dispatch_rate)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log.info("dispatcher_started", metrics_port=server.server_port, concurrency=configuration.dispatch_concurrency)
    worker.start()
    feeder.start()
    while not stop.wait(_LOOK_EVERY):
        if not worker.is_alive or not feeder.is_alive:
            log.critical("thread_died")  # a defect; whoever started us starts us again, and the leases run out
            return 1
    log.info("dispatcher_stopping")
    feeder.stop()
    all_recorded = worker.stop()
    feeder.join(2)
    engine.dispose()
    log.info("dispatcher_stopped", all_recorded=all_recorded)
    return 0 if all_recorded else 1


if __name__ == "__main__":
    sys.exit(main())
