"""A change of a client acts on what waits for them: by PATCH, by PUT, and by a file."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.domain.message import Error
from shared.domain.retry import HandBack, Retry
from shared.ledger.entries import open_entries
from shared.messages.claim import Claimed, claim_messages
from shared.messages.record import Verdict, record_verdicts
from tests.support.api import Api, running
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_fixture",)

FIRST, SECOND = "79123456789", "79260000000"
SOON = timedelta(seconds=30)


def here_and_there() -> tuple[dict[str, str], str, str]:
    """A window that is open in one zone and closed in another for hours, whatever the time is; and these zones."""
    noon = datetime.now(UTC)
    east = (12 - noon.hour) % 24
    east = east - 24 if east > 12 else east
    here = f"Etc/GMT{-east:+d}"  # it is noon there; signs are the other way round
    far = east - 11 if east > 0 else east + 11
    return {"from": "10:00", "until": "14:30"}, here, f"Etc/GMT{-far:+d}"


WINDOW, OPEN, CLOSED = here_and_there()


def waiting(api: Api, zone: str, phone: str = FIRST, **more: Any) -> tuple[Any, int]:
    """A client, and a mailing with a window whose message to them waits."""
    client = api.make("/clients/", {"phone": phone, "timezone": zone})
    mailing_id: int = api.make("/mailings/", running(send_window=WINDOW, **more))["id"]
    api.launch(mailing_id)
    return client, mailing_id


def due_in(api: Api, mailing_id: int) -> timedelta:
    [message] = api.get(f"/mailings/{mailing_id}/detail_statistics/")["messages"]
    return datetime.fromisoformat(message["due_at"]) - datetime.now(UTC)


def is_looked_at(api: Api) -> bool:
    """The leader is told to."""
    return bool(api.execute("select min(due_at) <= now() from mailing_counters"))


Change = Callable[[Api, Any, str], object]


def patch(api: Api, client: Any, zone: str) -> None:
    assert api("PATCH", f"/clients/{client['id']}/", {"timezone": zone}).status == 200


def put(api: Api, client: Any, zone: str) -> None:
    assert api("PUT", f"/clients/{client['id']}/", {**client, "timezone": zone}).status == 200


def file(api: Api, client: Any, zone: str) -> None:
    data = json.dumps({"phone": client["phone"], "timezone": zone})
    answer = api("POST", "/clients/import/", data=data, content_type="application/x-ndjson")
    assert answer.json["updated"] == 1


WAYS = pytest.mark.parametrize("change", [patch, put, file])


@WAYS
def test_a_zone_that_is_put_right_is_the_one_that_the_message_waits_in(api: Api, change: Change) -> None:
    client, mailing_id = waiting(api, CLOSED)
    assert due_in(api, mailing_id) > timedelta(hours=1)
    api.execute("update mailing_counters set due_at = now() + interval '5 hours'")
    change(api, client, OPEN)
    assert due_in(api, mailing_id) < SOON
    assert is_looked_at(api)
    [message] = claim(api, mailing_id)
    assert message.client_id == client["id"]


@WAYS
def test_where_it_is_closed_the_message_waits_and_is_not_sent(api: Api, change: Change) -> None:
    client, mailing_id = waiting(api, OPEN)
    change(api, client, CLOSED)
    assert claim(api, mailing_id) == []
    assert due_in(api, mailing_id) > timedelta(hours=1)


@WAYS
def test_what_waits_on_its_rung_stays_there(api: Api, change: Change) -> None:
    client, mailing_id = waiting(api, OPEN)
    [claimed] = claim(api, mailing_id)
    record(api, Verdict(claimed, Retry(timedelta(minutes=5)), Error.SERVER_ERROR))
    before = api.execute("select due_at from messages")
    for zone in (CLOSED, OPEN):
        change(api, client, zone)
        assert api.execute("select due_at from messages") == before


WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def beside(api: Api, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """What the first returns; the second begins while the first has timed messages and not committed."""
    with ThreadPoolExecutor(2) as pool:
        with superuser(api.engine) as holder:
            holder.execute(text("lock table mailing_counters in share mode"))
            one = pool.submit(first)
            wait_until(lambda: one.done() or api.execute(WAITING) >= 1)
            assert not one.done()
            two = pool.submit(second)
            wait_until(lambda: two.done() or api.execute(WAITING) >= 2)
        two.result()
        return one.result()


@WAYS
def test_beside_a_launch_whose_messages_nobody_sees_yet(api: Api, change: Change) -> None:
    client = api.make("/clients/", {"phone": FIRST, "timezone": CLOSED})
    mailing_id = api.make("/mailings/", running(send_window=WINDOW))["id"]
    assert beside(api, lambda: api.launch(mailing_id), lambda: change(api, client, OPEN)) == 1
    assert due_in(api, mailing_id) < SOON


@WAYS
def test_beside_a_claim_that_puts_the_message_off(api: Api, change: Change) -> None:
    client, mailing_id = waiting(api, CLOSED)
    api.execute("update messages set due_at = now()")
    assert beside(api, lambda: claim(api, mailing_id), lambda: change(api, client, OPEN)) == []
    assert due_in(api, mailing_id) < SOON


# ---------------------------------------------------------------- phones


def claim(api: Api, mailing_id: int) -> list[Claimed]:
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        ids = [row.id for row in connection.execute(text("select id from messages")).all()]
        found = claim_messages(connection, entries, {mailing_id: ids}, lease=SOON)
        return list(found.messages) if found else []


def record(api: Api, verdict: Verdict) -> None:
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        assert record_verdicts(connection, entries, [verdict], timedelta(0)) == 0


def launched(api: Api) -> tuple[Any, int]:
    client = api.make("/clients/", {"phone": FIRST})
    mailing_id: int = api.make("/mailings/", running())["id"]
    api.launch(mailing_id)
    return client, mailing_id


def test_a_phone_that_is_put_right_before_any_call_is_the_one_that_is_called(api: Api) -> None:
    client, mailing_id = launched(api)
    [claimed] = claim(api, mailing_id)
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": SECOND}).status == 200
    record(api, Verdict(claimed, HandBack()))  # it fixes nothing
    [anew] = claim(api, mailing_id)
    assert (str(anew.phone), anew.id) == (SECOND, claimed.id)


def test_a_call_that_may_have_been_written_fixes_phone_and_bytes(api: Api) -> None:
    """The phone is changed while it times out: the repeat goes where the first one went."""
    client, mailing_id = launched(api)
    [claimed] = claim(api, mailing_id)
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": SECOND}).status == 200
    record(api, Verdict(claimed, Retry(timedelta(0)), Error.TIMED_OUT, ambiguous=True))
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": "79990000000"}).status == 200
    assert api("PATCH", f"/mailings/{mailing_id}/", {"text": "Another"}).status == 409
    [repeat] = claim(api, mailing_id)
    assert (str(repeat.phone), repeat.text, repeat.id) == (FIRST, claimed.text, claimed.id)
    assert repeat.repeat


@pytest.mark.parametrize("suppressed", [FIRST, SECOND])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_suppression_of_either_phone_ends_what_was_called(api: Api, suppressed: str, is_first: bool) -> None:
    """That of the client, and that which the first call went to; before the change or after it."""
    client, mailing_id = launched(api)
    [claimed] = claim(api, mailing_id)
    if is_first:
        api.make("/suppressions/", {"phone": suppressed})
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": SECOND}).status == 200
    record(api, Verdict(claimed, Retry(timedelta(0)), Error.SERVER_ERROR))
    if not is_first:
        api.make("/suppressions/", {"phone": suppressed})
    assert claim(api, mailing_id) == []
    assert api.get(f"/mailings/{mailing_id}/detail_statistics/")["skipped_because"] == {"opted_out": 1}


def test_a_suppression_of_the_old_phone_ends_nothing_else(api: Api) -> None:
    client, mailing_id = launched(api)
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": SECOND}).status == 200
    made = api.make("/suppressions/", {"phone": FIRST})
    assert made["client_id"] is None
    assert [str(one.phone) for one in claim(api, mailing_id)] == [SECOND]


def test_once_it_is_lifted_the_repeat_goes_out(api: Api) -> None:
    client, mailing_id = launched(api)
    [claimed] = claim(api, mailing_id)
    assert api("PATCH", f"/clients/{client['id']}/", {"phone": SECOND}).status == 200
    made = api.make("/suppressions/", {"phone": FIRST})
    assert api("DELETE", f"/suppressions/{made['id']}/").status == 204
    record(api, Verdict(claimed, Retry(timedelta(0)), Error.TIMED_OUT, ambiguous=True))
    assert [str(one.phone) for one in claim(api, mailing_id)] == [FIRST]


def test_a_client_who_is_gone_gets_nothing_more(api: Api) -> None:
    client, mailing_id = launched(api)
    [claimed] = claim(api, mailing_id)
    assert api("DELETE", f"/clients/{client['id']}/").status == 204
    record(api, Verdict(claimed, Retry(timedelta(0)), Error.SERVER_ERROR))
    assert claim(api, mailing_id) == []
    shown = api.get(f"/mailings/{mailing_id}/detail_statistics/")
    assert (shown["cancelled"], shown["audience"]) == (1, 1)
