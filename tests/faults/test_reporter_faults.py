"""The mail server is down for two days, a reporter is killed in mid-mail, and two of them run at once."""

import os
import re
import signal
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from sandbox.processes import Processes
from shared import clock
from tests.support.mailbox import Mailbox
from tests.support.waiting import wait_until
from tests.support.wall_clock import WallClock

MODULE = "dispatcher_service.reporter"
DAY = timedelta(days=1)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes(print) as processes:
        yield processes


@pytest.fixture
def yesterday() -> date:
    """Where it is noon: its report is due, and today does not end under a test."""
    return clock.now().astimezone(noon_zone()).date() - DAY


def noon_zone() -> ZoneInfo:
    offset = 12 - clock.now().hour
    return ZoneInfo(f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT")


@pytest.fixture
def settings(engine: Engine, database_url: str, mailbox: Mailbox) -> dict[str, str]:
    """For a reporter that has had something to report for long."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                insert into mailings (text, starts_at, ends_at, created_at)
                values ('Hello', now() - interval '30 days', now() - interval '29 days', now() - interval '31 days')
            """)
        )
    return {
        "DATABASE_URL": database_url,
        "SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
        "REPORT_FROM": "reports@shop.example",
        "REPORT_TO": "team@shop.example",
        "REPORT_AT": "09:00",
        "REPORT_TIMEZONE": noon_zone().key,
        "LOG_FORMAT": "json",
    }


def register(engine: Engine) -> list[date]:
    with engine.connect() as connection:
        return list(connection.scalars(text("select day from reports order by day")))


def mailed(mailbox: Mailbox) -> list[date]:
    """The days of the reports that came in, in their order."""
    ids = [re.findall(r"report\.([0-9-]{10})\.", mail.message["Message-ID"])[0] for mail in mailbox.mails]
    return [date.fromisoformat(day) for day in ids]


def test_the_mail_server_is_down_for_two_days(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], yesterday: date
) -> None:
    """Nobody gets a report twice, or too few of them, though the reporter is killed again and again meanwhile."""
    with WallClock() as its_clock, its_clock.processes(print) as processes:
        processes.start("reporter", MODULE, settings)
        wait_until(lambda: register(engine) == [yesterday])
        mailbox.stop()
        for _ in range(2):
            processes.kill("reporter")
            its_clock.step(DAY)
            processes.start("reporter", MODULE, settings)
            processes.wait_line("reporter", "report_failed")
        processes.kill("reporter")
        mailbox.start()
        processes.start("reporter", MODULE, settings)
        wait_until(lambda: len(register(engine)) == 3)
        processes.kill("reporter")
    assert mailed(mailbox) == register(engine) == [yesterday, yesterday + DAY, yesterday + 2 * DAY]


def test_killed_between_sending_and_writing_it_down_it_repeats_the_same_mail(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes
) -> None:
    mailbox.on_mail = lambda: os.kill(processes.pid("reporter"), signal.SIGKILL)
    processes.start("reporter", MODULE, settings)
    assert processes.wait("reporter", 30) == -signal.SIGKILL
    assert register(engine) == []
    mailbox.on_mail = lambda: None
    processes.start("reporter", MODULE, settings)
    wait_until(lambda: register(engine))
    first, second = mailbox.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_where_one_of_two_dies_while_sending_the_other_sends(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes
) -> None:
    arrived, answer = threading.Event(), threading.Event()
    mailbox.on_mail = lambda: (arrived.set(), answer.wait(60), None)[2]
    processes.start("first", MODULE, settings)
    assert arrived.wait(30)
    processes.start("second", MODULE, settings)
    processes.wait_line("second", "reporter_started")
    mailbox.on_mail = lambda: None
    processes.kill("first")
    answer.set()
    wait_until(lambda: register(engine))
    broken_off, sent = mailbox.mails
    assert broken_off.message["Message-ID"] == sent.message["Message-ID"]
    assert processes.stop("second") == 0


def test_of_two_at_once_one_sends_each_day(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes, yesterday: date
) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into reports values (:day)"), {"day": yesterday - 4 * DAY})
    names = ("first", "second")
    for name in names:
        processes.start(name, MODULE, settings)
    wait_until(lambda: len(register(engine)) == 5)
    for name in names:
        processes.wait_line(name, "reporter_started")
        assert processes.stop(name) == 0
    assert mailed(mailbox) == [yesterday - number * DAY for number in (3, 2, 1, 0)]
