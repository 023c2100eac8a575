"""What users do with mailings, on one system that all of these tests leave whole."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from notification_client import ApiError, Json
from sandbox import deployment
from sandbox.simulator.faults import Fault, Faults
from shared import clock
from shared.domain.message import FINAL_STATES, MessageState
from tests.e2e.conftest import place, running
from tests.e2e.system import System, clients_of, is_over, with_status
from tests.support.mailbox import Mailbox
from tests.support.waiting import HANGING, patience

SLOW = Faults(latency_ms=500)
"""At two dispatchers with 32 calls each: 128 messages per second."""


def at_once() -> float:
    """Seconds in which a pause or a cancel must act. Without it, sending would go on for five."""
    return patience(1, at_most=3)


def on_its_way() -> float:
    """Seconds that a request which was begun in time may take to be seen by the provider."""
    return patience(0.3, at_most=1.5)


@pytest.fixture(scope="module")
def shared_system(request: pytest.FixtureRequest, broker: str) -> Iterator[System]:
    with place(request, broker) as where, running(where, DISPATCH_CONCURRENCY="32") as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> Iterator[System]:
    """Its provider knows nothing yet. At the end everything is over, and nothing came again after an answer."""
    yield shared_system
    shared_system.simulator.set_faults(Faults())
    for mailing in list(shared_system.api.mailings()):
        if mailing["state"] not in ("finished", "cancelled"):
            with suppress(ApiError):  # it has just finished
                shared_system.api.cancel(mailing["id"])
            shared_system.until_figures(mailing["id"], is_over, "over in the end")
    assert shared_system.simulator.summary().resent == 0
    shared_system.simulator.forget()


def test_nothing_is_sent_after_the_end(system: System) -> None:
    system.simulator.set_faults(SLOW)
    lasts = patience(3, at_most=15)
    system.fill(int(270 * lasts), tag="end")  # twice as many as can be sent
    mailing_id = system.mail(lasts=lasts, tags=["end"])
    ends_at = datetime.fromisoformat(system.api.mailing(mailing_id)["ends_at"]).timestamp()

    messages = system.until_over(mailing_id)
    sent = with_status(messages, MessageState.SENT)
    assert with_status(messages, MessageState.EXPIRED) == messages.keys() - sent
    received = system.received(mailing_id)
    assert received.keys() == sent
    last = max(one.last_at for one in received.values())
    assert ends_at - patience(1) < last < ends_at + on_its_way(), "sending goes on until the end, and no longer"


@pytest.mark.parametrize(
    ("fault", "state"), [(Fault.SERVER_ERROR, MessageState.EXPIRED), (Fault.ACCEPT_RESET, MessageState.UNKNOWN)]
)
def test_no_retry_is_made_after_the_end(system: System, fault: Fault, state: MessageState) -> None:
    system.simulator.set_faults(Faults(rates={fault: 0.7}))
    tag = f"retry {fault}"
    system.fill(100, tag=tag)
    mailing_id = system.mail(lasts=patience(2.5, at_most=10), tags=[tag])
    ends_at = datetime.fromisoformat(system.api.mailing(mailing_id)["ends_at"]).timestamp()

    messages = system.until_over(mailing_id)
    in_vain = with_status(messages, state)
    assert with_status(messages, MessageState.SENT) == messages.keys() - in_vain
    assert in_vain
    received = system.received(mailing_id)
    assert {one: received[one].count for one in messages} == {one: messages[one]["calls"] for one in messages}
    assert min(received[one].count for one in in_vain) > 1
    assert max(one.last_at for one in received.values()) < ends_at + on_its_way()


def test_cancel_acts_at_once(system: System) -> None:
    system.simulator.set_faults(SLOW)
    system.fill(800, tag="cancel")
    mailing_id = system.mail(tags=["cancel"])
    system.until_sent(mailing_id, 100)
    assert system.api.cancel(mailing_id)["state"] == "cancelled"
    cancelled_at = clock.now().timestamp()

    messages = system.until_over(mailing_id)
    sent = with_status(messages, MessageState.SENT)
    assert 100 <= len(sent) < 800
    assert with_status(messages, MessageState.CANCELLED) == messages.keys() - sent
    received = system.received(mailing_id)
    assert received.keys() == sent
    assert max(one.last_at for one in received.values()) < cancelled_at + at_once()


def test_pause_acts_at_once_and_resume_goes_on(system: System) -> None:
    system.simulator.set_faults(SLOW)
    system.fill(600, tag="pause")
    mailing_id = system.mail(tags=["pause"])
    system.until_sent(mailing_id, 100)
    assert system.api.pause(mailing_id)["state"] == "paused"
    paused_at = clock.now().timestamp()

    def is_quiet(figures: Json) -> bool:
        return bool(figures["pending"] + figures["sent"] == figures["audience"])

    quiet = system.until_figures(mailing_id, is_quiet, "nothing on its way")
    assert 100 <= quiet["sent"] < 600
    assert quiet["state"] == "paused"
    system.remains(lambda: is_quiet(system.figures(mailing_id)), "quiet")
    assert max(one.last_at for one in system.received(mailing_id).values()) < paused_at + at_once()

    system.simulator.set_faults(Faults())
    assert system.api.resume(mailing_id)["state"] == "running"
    messages = system.until_over(mailing_id)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert {one.count for one in system.received(mailing_id).values()} == {1}


def test_the_send_window_is_in_the_clients_own_time(system: System) -> None:
    """Russian zones are whole hours apart. So the clock of a client shows at least half an hour from either edge."""
    system.fill(300, tag="window")
    moscow = ZoneInfo("Europe/Moscow")
    now = clock.now()
    opens, closes = (f"{(now + minutes).astimezone(moscow):%H:%M}" for minutes in (-_MINUTES_90, _MINUTES_90))
    zones = {one["id"]: ZoneInfo(one["timezone"]) for one in system.api.clients() if one["tag"] == "window"}
    awake = {client for client, zone in zones.items() if abs(_offset(zone, now) - _offset(moscow, now)) <= _HOUR}
    assert 0 < len(awake) < len(zones)

    mailing_id = system.mail(tags=["window"], send_window=(opens, closes))
    system.until_figures(
        mailing_id,
        lambda figures: (figures["sent"], figures["pending"]) == (len(awake), len(zones) - len(awake)),
        f"{len(awake)} of {len(zones)} sent, the others waiting",
    )
    sent = system.messages(mailing_id, status="sent")
    waiting = system.messages(mailing_id, status="pending")
    assert clients_of(sent, sent) == awake
    assert system.received(mailing_id).keys() == sent.keys()
    for message in waiting.values():
        due_at = datetime.fromisoformat(message["due_at"]).astimezone(zones[message["client_id"]])
        assert f"{due_at:%H:%M}" == opens

    system.api.change_mailing(mailing_id, send_window=None)
    messages = system.until_over(mailing_id)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert {one.count for one in system.received(mailing_id).values()} == {1}


_HOUR = timedelta(hours=1)
_MINUTES_90 = timedelta(minutes=90)


def _offset(zone: ZoneInfo, now: datetime) -> timedelta:
    offset = now.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def test_the_filter_matches_operator_codes_and_tags(system: System) -> None:
    system.fill(1000)
    codes, tags = {"902", "908", "950"}, {"vip", "loyal"}
    everybody = list(system.api.clients())
    with_code = {one["id"] for one in everybody if one["operator_code"] in codes}
    with_tag = {one["id"] for one in everybody if one["tag"] in tags}
    assert 0 < len(with_code & with_tag) < min(len(with_code), len(with_tag))

    messages = system.until_over(system.mail(operator_codes=codes, tags=tags))
    assert clients_of(messages, messages) == with_code & with_tag
    assert with_status(messages, MessageState.SENT) == messages.keys()


def test_nobody_matches(system: System) -> None:
    messages = system.until_over(system.mail(tags=["nobody has this tag"]))
    assert messages == {}


def test_a_deleted_client_gets_nothing(system: System) -> None:
    """Whether deleted before the start, or while the message waits, for its first attempt or the next."""
    system.fill(310, tag="leave")
    clients = [one["id"] for one in system.api.clients() if one["tag"] == "leave"]
    early, late = clients[:5], clients[-5:]

    system.simulator.set_faults(Faults(rates={Fault.SERVER_ERROR: 1}))
    mailing_id = system.mail(starts=1, tags=["leave"])
    for client in early:
        system.api.delete_client(client)

    def wait_for_the_next_attempt() -> set[int]:
        return {one["client_id"] for one in system.messages(mailing_id, status="retrying").values()} - {*late}

    # Whoever it is: nothing but probes is sent once the breaker is open.
    system.until(lambda: len(wait_for_the_next_attempt()) >= 5, "five clients in retrying")
    # One that is on the wire is left to its dispatcher, and its next turn may be long in coming.
    system.until_figures(mailing_id, lambda figures: not figures["sending"], "nothing on its way")
    between = sorted(wait_for_the_next_attempt())[:5]
    for client in between:
        system.api.delete_client(client)
    for client in late:
        system.api.delete_client(client)
    gone = len(between) + len(late)
    system.until_figures(mailing_id, lambda figures: figures["cancelled"] == gone, f"{gone} cancelled")
    received_before = system.simulator.received()
    system.simulator.set_faults(Faults())

    messages = system.until_over(mailing_id)
    assert clients_of(messages, messages) == set(clients) - set(early)
    cancelled = with_status(messages, MessageState.CANCELLED)
    assert clients_of(messages, cancelled) == {*between, *late}
    assert with_status(messages, MessageState.SENT) == messages.keys() - cancelled
    received = system.simulator.received()
    assert {one: received.get(one) for one in cancelled} == {one: received_before.get(one) for one in cancelled}


def test_dispatchers_share_the_work(system: System) -> None:
    def kept() -> dict[str, float]:
        """What each has claimed, but for what it handed back because the machine was too busy to send it at once."""
        return {
            name: system.metric(name, "dispatcher_messages_claimed_total")
            - system.metric(name, "dispatcher_messages_handed_back_total")
            for name in system.dispatchers
        }

    system.simulator.set_faults(Faults(latency_ms=150))  # it is the calls that take the time, on a busy machine, too
    system.fill(4000, tag="share")  # long enough for the jobs to grow as those do who take them
    before = kept()
    messages = system.until_over(system.mail(tags=["share"]))
    after = kept()
    parts = {name: after[name] - before[name] for name in after}
    assert len(messages) == 4000
    assert sum(parts.values()) == sum(message["calls"] for message in messages.values())
    assert min(parts.values()) > 1000, parts
    assert sum(system.metric(name, "feeder_leader") for name in system.dispatchers) == 1


def test_an_urgent_mailing_overtakes_a_big_one(system: System) -> None:
    system.simulator.set_faults(Faults(latency_ms=250))
    system.fill(8000, tag="big")
    system.fill(20, tag="urgent")
    big = system.mail(lasts=3600, tags=["big"])
    system.until_sent(big, 200)
    urgent = system.mail(lasts=60, tags=["urgent"])
    messages = system.until_over(urgent)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert system.figures(big)["sent"] < 4000, "the big one would have come first"


def test_many_mailings_at_once(system: System) -> None:
    count, clients = 50, 20
    for number in range(count):
        system.fill(clients, tag=f"one of many {number}")
    mailings = [system.mail(tags=[f"one of many {number}"]) for number in range(count)]

    def all_sent() -> bool:
        return all(
            (one["state"], one["statistics"]["sent"]) == ("finished", clients)
            for one in system.api.mailings()
            if one["id"] in mailings
        )

    system.until(all_sent, f"{count} mailings of {clients} messages sent")
    received = system.simulator.received()
    assert len(received) == count * clients
    assert {one.count for one in received.values()} == {1}


@pytest.mark.parametrize("broker", ["table"], indirect=True)  # it makes no difference
def test_the_report_of_the_day_says_the_same(system: System) -> None:
    """The reporter mails what the API shows, and prints the same."""
    rates = {Fault.SERVER_ERROR: 0.1, Fault.RESET: 0.1}
    system.simulator.set_faults(Faults(rates=rates, max_faults_per_id=1, refuse_ids_modulo=10))
    system.fill(200, tag="report")
    mailing_id = system.mail(tags=["report"])
    system.until_over(mailing_id)
    _let_a_day_pass(system.database_url)
    now = clock.now()
    zone = f"Etc/GMT{now.hour - 12:+d}"  # where it is noon, so that a test at midnight sees one day as well
    yesterday = (now.astimezone(ZoneInfo(zone)) - timedelta(days=1)).date()

    with Mailbox() as mailbox:
        env = system.env | {
            "SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
            "REPORT_FROM": "reports@shop.example",
            "REPORT_TO": "team@shop.example",
            "REPORT_TIMEZONE": zone,
        }
        deployment.start_reporter(system.processes, env)
        system.until(lambda: mailbox.mails, "a mail with the report")
        assert system.processes.stop("reporter") == 0
    (mail,) = mailbox.mails
    system.processes.start(
        "print", "dispatcher_service.reporter", env, "--once", "--print", "--date", yesterday.isoformat()
    )
    assert system.processes.wait("print", HANGING) == 0
    printed = "\n".join(system.processes.output("print"))
    assert printed.split() == mail.part("plain").split()

    general = system.api.statistics()
    mailings = list(system.api.mailings())
    told = {name: int(number) for name, number in re.findall(r"^  ([a-z_]+) +([0-9]+)   ", printed, re.MULTILINE)}
    assert {state: told[state] for state in FINAL_STATES} == {state: general[state] for state in FINAL_STATES}
    errors = Counter[str]()
    for mailing in mailings:
        errors.update(system.figures(mailing["id"])["errors"])
    assert errors["server_error"] > 0
    assert errors["connection_lost"] > 0
    assert {name: number for name, number in told.items() if name not in set(FINAL_STATES)} == errors
    assert "Balanced: counters and messages of every mailing agree." in printed
    line = next(line.split() for line in printed.splitlines() if line.split()[:1] == [str(mailing_id)])
    figures = system.figures(mailing_id)
    assert [int(number) for number in line[1:4]] == [figures["audience"], figures["sent"], figures["failed"]]


def _let_a_day_pass(database_url: str) -> None:
    """A report is for a day that is over: what happened today is put down for yesterday."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update tallies set quarter = quarter - interval '1 day'")
        cursor.execute("update mailings set created_at = created_at - interval '1 day'")
