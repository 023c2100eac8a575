"""The reporter's command line. Exits 0 when done or told to stop, 1 when the mail or the database failed, 2 when asked
for something that makes no sense."""

import argparse
import re
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import date, timedelta
from types import FrameType

from prometheus_client import start_http_server
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.reporter import letter
from dispatcher_service.reporter.letter import Envelope
from dispatcher_service.reporter.mail import MailError, MailServer
from dispatcher_service.reporter.post import Post, Posting
from dispatcher_service.reporter.reporter import Reporter
from dispatcher_service.reporter.words import LANGUAGES
from shared import clock, logs, metrics, migrate
from shared.database.access import ensure_database
from shared.database.roles import Role
from shared.domain.day_bounds import bounds
from shared.domain.errors import SettingsError
from shared.ledger import report
from shared.metrics_port import listen_there_or_anywhere
from shared.own_metrics import OF_THE_PROCESS, REPORTER, registry_of
from shared.settings import Settings, load

GRACE = 8.0
"""Seconds for a mail under way to be handed in and written down, once the process is told to stop."""

_PATIENCE = 30.0  # seconds that --once waits for another reporter

log = logs.logger()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = load()
        if options.print or options.once:
            return _one_day(options, settings)
        return _serve(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (MailError, SQLAlchemyError) as error:
        print(f"The report failed: {getattr(error, 'orig', None) or error}", file=sys.stderr)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dispatcher_service.reporter",
        description="Sends a report of every day by e-mail, on the next day at REPORT_AT in REPORT_TIMEZONE.",
    )
    parser.add_argument("--once", action="store_true", help="send the report of one day, if it was not sent, and end")
    parser.add_argument("--date", type=_date, metavar="YYYY-MM-DD", help="that day (default: yesterday)")
    parser.add_argument("--print", action="store_true", help="print the report instead; nothing is sent")
    parser.add_argument("--again", action="store_true", help="with --once: send it even if it was sent before")
    options = parser.parse_args(arguments)
    if options.date and not (options.once or options.print):
        parser.error("--date goes with --once or --print")
    if options.again and (options.print or not options.once):
        parser.error("--again goes with --once, and not with --print")
    return options


def _date(text: str) -> date:
    if not re.fullmatch(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", text):
        raise argparse.ArgumentTypeError("must be a day such as 2026-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("is not a day of the calendar") from error


def _one_day(options: argparse.Namespace, settings: Settings) -> int:
    zone, now = settings.report_timezone, clock.now()
    day = options.date or now.astimezone(zone).date() - timedelta(days=1)
    if bounds(day, zone)[1] > now:
        print(f"{day} is not over yet in {zone.key}.", file=sys.stderr)
        return 2
    if options.print:
        with _engine(settings, Role.READER).connect() as connection:
            print(letter.plain(report.read(connection, day, zone), LANGUAGES[settings.report_language]), end="")
        return 0
    if missing := _missing(settings):
        raise SettingsError(f"{missing[0]} must be set for a report to be sent.")
    logs.setup("reporter", settings.log_level, settings.log_format)
    match _post(_engine(settings), settings).send(day, again=options.again, patience=_PATIENCE):
        case Posting.SENT:
            print(f"The report of {day} was sent.")
        case Posting.REGISTERED:
            print(f"The report of {day} had already been sent; --again sends it once more.")
        case Posting.BUSY:
            print("Another reporter is sending at this moment; nothing was done.", file=sys.stderr)
            return 1
    return 0


def _serve(settings: Settings) -> int:
    stop = threading.Event()

    def told_to_stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told_to_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # settings are read at the start
    logs.setup("reporter", settings.log_level, settings.log_format)
    registry = registry_of(*REPORTER, *OF_THE_PROCESS)
    server, _ = listen_there_or_anywhere(
        lambda port: start_http_server(port, settings.metrics_host, registry), settings.metrics_port
    )
    metrics.begin(metrics.REPORTS, ("sent", "failed"))
    log.info("reporter_started", metrics_port=server.server_port)
    if missing := _missing(settings):
        log.warning("reports_not_mailed", not_set=missing)
        stop.wait()
        return 0
    engine = _engine(settings)
    reporter = Reporter(engine, _post(engine, settings), settings.report_at, settings.report_timezone)
    return _work(reporter, stop)


def _work(reporter: Reporter, stop: threading.Event) -> int:
    """Runs the reporter in a thread: a signal is heard even while a mail server or a name server keeps it waiting."""
    ended_well = threading.Event()

    def work() -> None:
        try:
            reporter.run(stop)
            ended_well.set()
        finally:
            stop.set()

    thread = threading.Thread(target=work, name="reporter", daemon=True)
    thread.start()
    stop.wait()
    thread.join(GRACE)
    log.info("reporter_stopped", broken_off=thread.is_alive())
    return 0 if ended_well.is_set() or thread.is_alive() else 1


def _engine(settings: Settings, role: Role = Role.SERVICE) -> Engine:
    database = ensure_database(settings)
    if settings.database_url is None:
        migrate.upgrade(database.direct_url)  # a deployment migrates by itself; the embedded database has nobody else
    return database.direct_engine("reporter", role=role, pool_size=2)


def _post(engine: Engine, settings: Settings) -> Post:
    server = MailServer.from_url(settings.smtp_url or "")
    words = LANGUAGES[settings.report_language]
    envelope = Envelope(settings.report_from or "", settings.report_to, words)
    return Post(engine, server, envelope, settings.report_timezone)


def _missing(settings: Settings) -> list[str]:
    """The variables without which no mail can be sent."""
    values = {"SMTP_URL": settings.smtp_url, "REPORT_FROM": settings.report_from, "REPORT_TO": settings.report_to}
    return [name for name, value in values.items() if not value]


if __name__ == "__main__":
    sys.exit(main())
