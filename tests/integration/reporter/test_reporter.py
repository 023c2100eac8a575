"""The report of a day reaches its readers once, whatever fails on the way. Real processes, database and mail server."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from html.parser import HTMLParser
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import requests
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text

from dispatcher_service.reporter.letter import STATES, Envelope
from dispatcher_service.reporter.mail import MailServer
from dispatcher_service.reporter.post import Post, Posting
from dispatcher_service.reporter.reporter import Pace, Reporter
from sandbox.processes import Processes
from shared import clock
from shared.database.engine import make_engine
from tests.support.mailbox import Mailbox
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

MODULE = "dispatcher_service.reporter"
MOSCOW = ZoneInfo("Europe/Moscow")
DAY = date(2026, 1, 30)
NOON = datetime(2026, 1, 31, 12, tzinfo=MOSCOW)  # the next day, after REPORT_AT
ENVELOPE = Envelope("Reports <reports@shop.example>", ("team@shop.example", "Ops <ops@shop.example>"))
QUICK = Pace(poll=1, pause=0.01, longest=0.02)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def _add_mailing(
    engine: Engine,
    at: datetime = datetime(2026, 1, 30, 12, tzinfo=MOSCOW),
    words: str = "Sale!",
    states: Mapping[str, int] | None = None,
    errors: Mapping[str, int] | None = None,
    audience: int | None = None,
) -> int:
    """A mailing with what a dispatcher would have written about it: `states` were reached at that moment."""
    states = {"sent": 10} if states is None else states
    with engine.begin() as connection:
        mailing_id = connection.scalar(
            text("""
                insert into mailings (text, starts_at, ends_at, created_at, audience)
                values (:text, :at, cast(:at as timestamptz) + interval '1 day', :at, :audience) returning id
            """),
            {"text": words, "at": at, "audience": sum(states.values()) if audience is None else audience},
        )
        columns, values = ", ".join(["slot", *states]), ", ".join(map(str, [0, *states.values()]))
        connection.execute(
            text(f"insert into mailing_counters (mailing_id, {columns}) values ({mailing_id}, {values})")
        )
        for name, count in [*states.items(), *((f"error.{name}", count) for name, count in (errors or {}).items())]:
            connection.execute(
                text("""
                    insert into tallies (mailing_id, quarter, slot, name, count)
                    values (:mailing_id, date_bin('15 minutes', :at, timestamptz '2000-01-01'), 0, :name, :count)
                """),
                {"mailing_id": mailing_id, "at": at, "name": name, "count": count},
            )
    assert isinstance(mailing_id, int)
    return mailing_id


def _register(engine: Engine) -> list[date]:
    with engine.connect() as connection:
        return list(connection.scalars(text("select day from reports order by day")))


def _enter(engine: Engine, *days: date) -> None:
    with engine.begin() as connection:
        for day in days:
            connection.execute(text("insert into reports (day) values (:day)"), {"day": day})


def _post(engine: Engine, mailbox: Mailbox) -> Post:
    return Post(engine, MailServer.from_url(f"smtp://127.0.0.1:{mailbox.port}"), ENVELOPE, MOSCOW)


class _Time:
    """A clock to be set by hand."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def _reporter(engine: Engine, mailbox: Mailbox, now: Callable[[], datetime] | None = None) -> Reporter:
    return Reporter(engine, _post(engine, mailbox), time_of_day(9), MOSCOW, now=now or _Time(), pace=QUICK)


def _tick_until(reporter: Reporter, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        reporter.tick(threading.Event())
        time.sleep(0.01)


def _days(mailbox: Mailbox) -> list[str]:
    """The days whose reports came in, in order."""
    return [re.findall(r"report\.([0-9-]{10})\.", mail.message["Message-ID"])[0] for mail in mailbox.mails]


# ---- what it says


def test_the_mail_tells_the_figures_of_the_day(engine: Engine, mailbox: Mailbox) -> None:
    first = _add_mailing(
        engine,
        words="Скидка <b>20%</b> & more<script>alert(1)</script>",
        states={"sent": 1200, "failed": 25, "unknown": 5, "expired": 10, "cancelled": 3},
        errors={"server_error": 70, "rejected": 25},
    )
    second = _add_mailing(engine, at=datetime(2026, 1, 30, 0, 0, tzinfo=MOSCOW), states={"sent": 7})
    _add_mailing(
        engine, at=datetime(2026, 1, 29, 23, 59, 59, tzinfo=MOSCOW), states={"sent": 100_000}
    )  # the day before
    _add_mailing(engine, at=datetime(2026, 1, 31, 0, 0, tzinfo=MOSCOW), states={"sent": 100_000})  # the day after
    assert _post(engine, mailbox).send(DAY) is Posting.SENT
    [mail] = mailbox.mails

    assert mail.message["Subject"] == "Mailings on 30 January 2026: 96.7 % accepted"
    assert mail.message["From"] == "Reports <reports@shop.example>"
    assert mail.message["To"] == "team@shop.example, Ops <ops@shop.example>"
    assert mail.recipients == ["team@shop.example", "ops@shop.example"]
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert abs(mail.message["Date"].datetime - clock.now()) < timedelta(minutes=1)
    assert mail.message.get_content_type() == "multipart/alternative"

    lines = [" ".join(line.split()) for line in mail.part("plain").splitlines()]
    assert "2026-01-30 00:00+03:00 to 2026-01-31 00:00+03:00, Europe/Moscow" in lines
    assert "Mailings processed 2" in lines
    assert "Messages finished 1250" in lines
    assert any(line.startswith("Accepted 96.7 % by the provider") for line in lines)
    assert any(line.startswith("Repeated calls 0 ") for line in lines)
    for figures in (
        "sent 1207",
        "failed 25",
        "unknown 5",
        "expired 10",
        "cancelled 3",
        "rejected 25",
        "server_error 70",
    ):
        assert [line for line in lines if line.startswith(f"{figures} ")], figures
    assert any(line.startswith("Balanced") for line in lines)
    others = ["0"] * (len(STATES) - 5)  # of states that come behind these
    assert any(line.startswith(" ".join([f"{first} 1243 1200 25 5 10 3", *others, "Скидка"])) for line in lines)
    assert any(line.startswith(" ".join([f"{second} 7 7 0 0 0 0", *others, "Sale!"])) for line in lines)

    page = _Page(mail.part("html"))
    for words in ("96.7 %", "1,250", "1,207", "Скидка <b>20%</b> & more<script>alert(1)</script>", "server error"):
        assert words in page.words
    assert page.tags.isdisjoint({"script", "b", "link"})


class _Page(HTMLParser):
    """What a reader of the HTML part sees."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self._words: list[str] = []
        self.feed(source)
        self.words = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self._words.append(data)


def test_a_ledger_that_does_not_balance_is_told_first(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    wrong = _add_mailing(engine, audience=11)
    _post(engine, mailbox).send(DAY)
    [mail] = mailbox.mails
    assert mail.message["Subject"].startswith("Ledger unbalanced!")
    assert f"DOES NOT BALANCE for mailing {wrong}:" in mail.part("plain")
    assert f"The ledger does not balance for mailing {wrong}:" in _Page(mail.part("html")).words


def test_only_the_largest_mailings_are_listed(engine: Engine, mailbox: Mailbox) -> None:
    for number in range(1, 54):
        _add_mailing(engine, words=f"mailing of {number}", states={"sent": number})
    _post(engine, mailbox).send(DAY)
    plain = mailbox.mails[0].part("plain")
    assert [int(number) for number in re.findall(r"mailing of ([0-9]+)", plain)] == list(range(53, 3, -1))
    assert "and 3 more" in plain


# ---- when, and how often


def test_yesterday_is_sent_once_its_time_has_come(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    now = _Time(datetime(2026, 1, 30, 23, 0, tzinfo=MOSCOW))
    reporter = _reporter(engine, mailbox, now)
    seen = []
    while now.now < datetime(2026, 2, 2, 12, tzinfo=MOSCOW):
        before = len(mailbox.mails)
        reporter.tick(threading.Event())
        seen += [(now.now.strftime("%d %H:%M"), day) for day in _days(mailbox)[before:]]
        now.now += timedelta(minutes=10)
    assert seen == [("31 09:00", "2026-01-30"), ("01 09:00", "2026-01-31"), ("02 09:00", "2026-02-01")]


def test_missed_days_are_caught_up_in_order(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine, at=datetime(2026, 1, 1, tzinfo=MOSCOW))
    _enter(engine, DAY - timedelta(days=3), DAY - timedelta(days=1))  # one of the missed days was sent by hand
    reporter = _reporter(engine, mailbox)
    reporter.tick(threading.Event())
    assert _days(mailbox) == ["2026-01-28", "2026-01-30"]
    reporter.tick(threading.Event())
    assert len(mailbox.mails) == 2


def test_a_week_is_caught_up_at_the_most(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine, at=datetime(2026, 1, 1, tzinfo=MOSCOW))
    _enter(engine, date(2026, 1, 10))
    _reporter(engine, mailbox).tick(threading.Event())
    assert _days(mailbox) == [f"2026-01-{day}" for day in range(24, 31)]


def test_reports_begin_with_the_first_day_that_has_something_to_tell(engine: Engine, mailbox: Mailbox) -> None:
    now = _Time()
    reporter = _reporter(engine, mailbox, now)
    reporter.tick(threading.Event())
    assert mailbox.mails == []
    _add_mailing(engine, at=datetime(2026, 2, 1, 15, tzinfo=MOSCOW))
    now.now += timedelta(days=2)
    reporter.tick(threading.Event())
    assert _days(mailbox) == ["2026-02-01"]


def test_where_nothing_was_ever_sent_only_yesterday_is(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine, at=datetime(2026, 1, 1, tzinfo=MOSCOW))
    _reporter(engine, mailbox).tick(threading.Event())
    assert _days(mailbox) == ["2026-01-30"]


def test_a_day_without_mailings_is_reported_too(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine, at=datetime(2026, 1, 1, tzinfo=MOSCOW))
    _reporter(engine, mailbox).tick(threading.Event())
    [mail] = mailbox.mails
    assert mail.message["Subject"] == "Mailings on 30 January 2026: no messages"
    assert re.search(r"Accepted +—", mail.part("plain"))


# ---- what fails


def test_days_wait_for_a_mail_server_that_is_down_and_come_once_in_order(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    mailbox.stop()
    now = _Time()
    reporter = _reporter(engine, mailbox, now)
    for _ in range(3):  # days
        for _ in range(5):  # attempts
            reporter.tick(threading.Event())
            time.sleep(0.03)
        now.now += timedelta(days=1)
    assert _register(engine) == []
    mailbox.start()
    _tick_until(reporter, lambda: len(_register(engine)) == 4)
    reporter.tick(threading.Event())
    assert _days(mailbox) == ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"]


def test_a_mail_server_that_says_later_is_tried_again(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    answers = iter(["451 later", "421 even later", "550 never"])
    mailbox.on_mail = lambda: next(answers, None)
    reporter = _reporter(engine, mailbox)
    _tick_until(reporter, lambda: bool(_register(engine)))
    assert _days(mailbox) == ["2026-01-30"]


def test_failures_are_followed_by_longer_and_longer_pauses(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    attempts: list[float] = []
    mailbox.on_mail = lambda: attempts.append(time.monotonic()) or "451 later"
    pace = Pace(pause=0.2, longest=0.4)
    reporter = Reporter(engine, _post(engine, mailbox), time_of_day(9), MOSCOW, now=_Time(), pace=pace)
    _tick_until(reporter, lambda: len(attempts) == 4)
    assert REGISTRY.get_sample_value("reporter_reports_owed") == 1
    pauses = [after - before for before, after in pairwise(attempts)]
    assert pauses[0] >= 0.2
    assert min(pauses[1:]) >= 0.4
    assert max(pauses) < 5


def test_a_mail_that_is_out_is_not_sent_again_when_the_database_goes_away(engine: Engine, mailbox: Mailbox) -> None:
    """The server ends the reporter's connection after the mail was handed in and before that is written down."""
    _add_mailing(engine)

    def end_connections() -> None:
        with superuser(engine) as connection:
            ended = connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'reporter' and datname = current_database()"
                )
            ).all()
        assert ended

    mailbox.on_mail = end_connections
    mine = make_engine(engine.url.render_as_string(hide_password=False), "reporter")
    reporter = _reporter(mine, mailbox)
    reporter.tick(threading.Event())
    assert _register(engine) == []
    _tick_until(reporter, lambda: bool(_register(engine)))
    mine.dispose()
    assert _days(mailbox) == ["2026-01-30"]


def test_a_database_that_cannot_be_read_is_waited_for(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    with superuser(engine) as connection:
        connection.execute(text("alter table reports rename to elsewhere"))
    reporter = _reporter(engine, mailbox)
    reporter.tick(threading.Event())
    with superuser(engine) as connection:
        connection.execute(text("alter table elsewhere rename to reports"))
    _tick_until(reporter, lambda: bool(_register(engine)))
    assert _days(mailbox) == ["2026-01-30"]


def test_of_many_reporters_at_once_one_sends(engine: Engine, mailbox: Mailbox) -> None:
    _add_mailing(engine)
    start, results = threading.Barrier(4), []

    def send() -> None:
        post = _post(engine, mailbox)
        start.wait(10)
        results.append(post.send(DAY))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(mailbox.mails) == 1
    assert len(results) == 4
    assert results.count(Posting.SENT) == 1


# ---- the process


def _noon_zone() -> str:
    """A zone in which it is about noon, so that yesterday's report is due and today does not end under a test."""
    offset = 12 - clock.now().hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def _yesterday() -> datetime:
    return clock.now().astimezone(ZoneInfo(_noon_zone())) - timedelta(days=1)


@pytest.fixture
def settings(database_url: str, mailbox: Mailbox) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
        "REPORT_FROM": ENVELOPE.sender,
        "REPORT_TO": ", ".join(ENVELOPE.recipients),
        "REPORT_AT": "09:00",
        "REPORT_TIMEZONE": _noon_zone(),
        "LOG_FORMAT": "json",
    }


def _run(settings: Mapping[str, str], *arguments: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]":
    """The command, with nothing but these settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings}
    return subprocess.run(
        [sys.executable, "-m", MODULE, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_it_runs_sends_serves_metrics_and_stops(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes
) -> None:
    _add_mailing(engine, at=_yesterday())
    processes.start("reporter", MODULE, settings)
    wait_until(lambda: _register(engine))
    started = json.loads(processes.wait_line("reporter", '.*"reporter_started".*')[0])
    sent = json.loads(processes.wait_line("reporter", '.*"report_sent".*')[0])

    def shown() -> str:
        return requests.get(f"http://127.0.0.1:{started['metrics_port']}/metrics", timeout=5).text

    def last_sent() -> float:
        return float(re.findall(r"^reporter_last_sent_seconds (\S+)$", shown(), re.MULTILINE)[0])

    wait_until(last_sent)
    assert abs(last_sent() - time.time()) < 60
    metrics = shown()
    assert 'reporter_reports_total{result="sent"} 1.0' in metrics
    assert 'reporter_reports_total{result="failed"} 0.0' in metrics, "or nobody would see the first one as an increase"
    assert "reporter_reports_owed 0.0" in metrics
    assert not re.search("^(api|dispatcher|feeder)_", metrics, re.MULTILINE)
    assert sent["day"] == str(_yesterday().date())
    assert len(mailbox.mails) == 1
    begun = time.monotonic()
    assert processes.stop("reporter") == 0
    assert time.monotonic() - begun < 10


def test_told_to_stop_it_finishes_the_mail_under_way(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes
) -> None:
    _add_mailing(engine, at=_yesterday())

    def stop() -> None:
        processes.send("reporter", signal.SIGTERM)
        time.sleep(1)

    mailbox.on_mail = stop
    processes.start("reporter", MODULE, settings)
    assert processes.wait("reporter", 30) == 0
    assert _register(engine) == [_yesterday().date()]


def test_told_to_stop_it_does_not_wait_forever_for_a_mail_server(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str], processes: Processes
) -> None:
    _add_mailing(engine, at=_yesterday())
    arrived, answer = threading.Event(), threading.Event()
    mailbox.on_mail = lambda: (arrived.set(), answer.wait(60), None)[2]
    processes.start("reporter", MODULE, settings)
    assert arrived.wait(30)
    begun = time.monotonic()
    assert processes.stop("reporter") == 0
    assert time.monotonic() - begun < 16
    answer.set()


def test_without_an_address_it_says_so_once_and_stays_up(settings: dict[str, str], processes: Processes) -> None:
    processes.start("reporter", MODULE, settings | {"SMTP_URL": "", "REPORT_TO": ""})
    said = json.loads(processes.wait_line("reporter", ".*reports_not_mailed.*")[0])
    assert said["not_set"] == ["SMTP_URL", "REPORT_TO"]
    assert processes.running("reporter")
    assert processes.stop("reporter") == 0


def test_it_stays_up_while_the_database_is_down(settings: dict[str, str], processes: Processes) -> None:
    processes.start("reporter", MODULE, settings | {"DATABASE_URL": "postgresql://user:hunter22@127.0.0.1:1/none"})
    processes.wait_line("reporter", "report_failed")
    assert processes.running("reporter")
    assert processes.stop("reporter") == 0
    assert not any("hunter22" in line for line in processes.output("reporter"))


# ---- the command line


def test_once_sends_a_day_once(engine: Engine, mailbox: Mailbox, settings: dict[str, str]) -> None:
    _add_mailing(engine)
    settings |= {"REPORT_TIMEZONE": "Europe/Moscow"}
    first = _run(settings, "--once", "--date", "2026-01-30")
    assert (first.returncode, first.stderr) == (0, "")
    assert "The report of 2026-01-30 was sent." in first.stdout
    second = _run(settings, "--once", "--date", "2026-01-30")
    assert second.returncode == 0
    assert "already been sent" in second.stdout
    assert len(mailbox.mails) == 1
    assert _run(settings, "--once", "--date", "2026-01-30", "--again").returncode == 0
    once, again = (mail.message for mail in mailbox.mails)
    assert once["Message-ID"] != again["Message-ID"]
    assert once["Subject"] == again["Subject"]
    assert _register(engine) == [DAY]


def test_once_means_yesterday(engine: Engine, mailbox: Mailbox, settings: dict[str, str]) -> None:
    assert _run(settings, "--once").returncode == 0
    assert _days(mailbox) == [str(_yesterday().date())]


def test_once_fails_where_the_mail_server_does(engine: Engine, mailbox: Mailbox, settings: dict[str, str]) -> None:
    mailbox.stop()
    done = _run(settings, "--once")
    assert done.returncode == 1
    assert f"127.0.0.1:{mailbox.port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert _register(engine) == []


def test_print_shows_the_plain_part_and_sends_nothing(
    engine: Engine, mailbox: Mailbox, settings: dict[str, str]
) -> None:
    _add_mailing(engine, states={"sent": 987, "failed": 13}, errors={"timed_out": 4})
    settings = {"DATABASE_URL": settings["DATABASE_URL"], "REPORT_TIMEZONE": "Europe/Moscow"}
    done = _run(settings, "--once", "--date", "2026-01-30", "--print")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Mailings on 30 January 2026\n")
    for figures in (
        r"sent +987 ",
        r"failed +13 ",
        r"Accepted +98\.7 %",
        r"timed_out +4 ",
        r"Mailings processed +1\n",
    ):
        assert re.search(figures, done.stdout), figures
    assert (mailbox.mails, _register(engine)) == ([], [])


def test_print_works_with_the_embedded_database() -> None:
    with tempfile.TemporaryDirectory(prefix="notify-") as directory:
        done = _run({"DATA_DIR": directory}, "--print")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Mailings processed   0" in done.stdout


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({"SMTP_URL": ""}, ["--once"], "SMTP_URL"),
        ({"REPORT_TO": ""}, ["--once"], "REPORT_TO"),
        ({"REPORT_FROM": ""}, ["--once"], "REPORT_FROM"),
        ({"SMTP_URL": "smtp://user@127.0.0.1"}, ["--once"], "SMTP_URL"),
        ({"SMTP_URL": "smtp://127.0.0.1?cafile=/no/such/file"}, [], "SMTP_URL"),
        ({"SMTP_URL": "http://127.0.0.1"}, [], "SMTP_URL"),
        ({"REPORT_AT": "9 o'clock"}, [], "REPORT_AT"),
        ({"REPORT_FROM": "=?utf-8?q?x=0ABcc=3A_c=40d?= <reports@shop.example>"}, [], "REPORT_FROM"),
        ({"SSL_CERT_FILE": "/no/such/file"}, [], "SSL_CERT_FILE"),
        ({}, ["--once", "--date", "today"], "2026-01-31"),
        ({}, ["--once", "--date", "2026-02-30"], "calendar"),
        ({}, ["--once", "--date", "20260130"], "2026-01-31"),
        ({}, ["--once", "--date", "2999-01-01"], "not over yet"),
        ({}, ["--print", "--date", "TODAY"], "not over yet"),
        ({}, ["--date", "2026-01-30"], "--once"),
        ({}, ["--again"], "--once"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    changes: dict[str, str], arguments: list[str], words: str, settings: dict[str, str]
) -> None:
    today = str(clock.now().astimezone(ZoneInfo(_noon_zone())).date())
    done = _run(settings | changes, *(today if argument == "TODAY" else argument for argument in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_metrics_address_that_cannot_be_used_is_named(settings: dict[str, str]) -> None:
    done = _run(settings | {"METRICS_HOST": "192.0.2.1"})
    assert done.returncode == 2
    assert done.stderr.startswith("METRICS_PORT ")
