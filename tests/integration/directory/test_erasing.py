"""Who is erased leaves no phone and no value behind, and every figure as it was."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.chores.erase_traces import EraseTraces
from dispatcher_service.leading.isolation import Isolation
from shared.domain.masking import has_phone, without_phones
from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish, Retry
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.claim import Claimed, claim_messages
from shared.messages.record import Verdict, record_verdicts
from tests.support.api import Api, running
from tests.support.superuser import superuser

pytest_plugins = ("tests.support.api_fixture",)

PHONE, OTHER = "79123456789", "79260000000"
CITY = "Zarechny-on-Sea"


@pytest.fixture
def anna(api: Api) -> Any:
    api.make("/clients/", {"phone": OTHER})
    return api.make("/clients/", {"phone": PHONE, "attributes": {"city": CITY}, "reference": "crm-anna"})


def erase(api: Api, client_id: int, **request: Any) -> int:
    return api("DELETE", f"/clients/{client_id}/?erase=true", **request).status


def launched(api: Api) -> int:
    mailing_id: int = api.make("/mailings/", running())["id"]
    api.launch(mailing_id)
    return mailing_id


def claim(api: Api, mailing_id: int, client: Any) -> Claimed:
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        ids = connection.scalars(
            text("select id from messages where mailing_id = :mailing_id and client_id = :client_id"),
            {"mailing_id": mailing_id, "client_id": client["id"]},
        ).all()
        found = claim_messages(connection, entries, {mailing_id: ids}, lease=timedelta(minutes=1))
        assert found
        return found.messages[0]


def record(api: Api, *verdicts: Verdict) -> None:
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        assert record_verdicts(connection, entries, verdicts, timedelta(0)) == 0


def later(api: Api) -> None:
    """The leader goes through what is left."""
    api.execute("update erasures set at = at - interval '15 min'")
    with api.engine.connect() as connection:
        assert EraseTraces().run(Step(Isolation(connection, Slot("keeper")), ())) is False
    assert api.execute("select count(*) from erasures") == 0


def traces(api: Api, *words: str) -> list[str]:
    """The tables, with their rows, that have one of these."""
    tables = api.execute(
        "select array_agg(relname::text) from pg_class"
        " where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace"
    )
    found = []
    for table in tables:
        rows = api.execute(f"select coalesce(string_agg(t::text, ' '), '') from {table} t")
        found += [table for word in words if word in rows]
    return found


def test_nothing_is_left_in_any_table(api: Api, anna: Any) -> None:
    done, waits = launched(api), launched(api)
    claimed = claim(api, done, anna)
    words = f"nobody of {CITY} has it"
    record(api, Verdict(claimed, Finish(MessageState.FAILED), Error.REJECTED, words=words))
    imported(api, {"phone": PHONE, "timezone": "Nowhere", "attributes": {"city": CITY}})
    imported(api, {"phone": "8 (912) 345-67-89", "attributes": {"city": CITY}})
    assert set(traces(api, PHONE, CITY)) == {"clients", "messages", "attempts", "imports", "refused_lines"}
    before = {one: api.get(f"/mailings/{one}/detail_statistics/") for one in (done, waits)}
    assert erase(api, anna["id"]) == 204
    assert set(traces(api, PHONE, CITY)) == {"imports", "refused_lines", "erasures"}
    later(api)
    assert traces(api, PHONE, CITY, "345-67-89", "crm-anna") == []
    after = {one: api.get(f"/mailings/{one}/detail_statistics/") for one in (done, waits)}
    of_anna = before[done]["messages"][1]
    assert (of_anna["phone"], of_anna["provider_words"]) == (PHONE, words)
    of_anna["phone"] = of_anna["provider_words"] = None
    assert after[done] == before[done]
    assert (after[waits]["audience"], after[waits]["cancelled"], after[waits]["pending"]) == (2, 1, 1)
    assert api.get("/clients/imports/")[0]["refused"] == 1
    assert [one["phone"] for one in api.get("/clients/")] == [OTHER]
    assert api.execute("select count(*) from messages where phone is not null") == 2  # the other client's


def test_it_may_be_repeated(api: Api, anna: Any) -> None:
    launched(api)
    assert [erase(api, anna["id"]) for _ in range(2)] == [204, 204]
    later(api)
    assert erase(api, anna["id"]) == 204
    later(api)
    assert erase(api, 999) == 404
    assert api("DELETE", f"/clients/{anna['id']}/").status == 404
    lines = [one for one in api.get("/audit/?thing=client") if one["action"] == "erase"]
    assert [(one["thing_id"], one["members"]) for one in lines] == [(str(anna["id"]), [])] * 3


def test_who_was_deleted_before_is_erased_as_well(api: Api, anna: Any) -> None:
    launched(api)
    imported(api, {"phone": PHONE, "timezone": "Nowhere"})
    assert api("DELETE", f"/clients/{anna['id']}/").status == 204
    assert traces(api, PHONE)
    assert erase(api, anna["id"]) == 204
    later(api)
    assert traces(api, PHONE) == []


def test_a_phone_that_they_had_goes_as_well(api: Api, anna: Any) -> None:
    assert api("PATCH", f"/clients/{anna['id']}/", {"phone": "79161112233"}).status == 200
    imported(api, {"phone": PHONE, "timezone": "Nowhere"})
    assert set(traces(api, PHONE)) == {"former_phones", "imports", "refused_lines"}
    assert erase(api, anna["id"]) == 204
    later(api)
    assert traces(api, PHONE, "79161112233") == []


def test_only_who_has_the_revision(api: Api, anna: Any) -> None:
    assert erase(api, anna["id"], headers={"If-Match": '"7"'}) == 412
    assert api.get(f"/clients/{anna['id']}/") == anna
    assert erase(api, anna["id"], headers={"If-Match": '"1"'}) == 204


@pytest.mark.parametrize("query", ["erase=false", ""])
def test_without_it_a_client_is_only_deleted(api: Api, anna: Any, query: str) -> None:
    launched(api)
    assert api("DELETE", f"/clients/{anna['id']}/?{query}").status == 204
    assert traces(api, PHONE) == ["messages"]
    assert api("DELETE", "/clients/1/?erase=perhaps").status == 422
    assert api("DELETE", "/clients/1/?forget=true").status == 422


def test_of_who_is_on_the_wire_nothing_is_written_afterwards(api: Api, anna: Any) -> None:
    """What the provider says of the call comes later, and goes as well; the message ends as any other."""
    first, second = launched(api), launched(api)
    refused, retried = claim(api, first, anna), claim(api, second, anna)
    assert erase(api, anna["id"]) == 204
    assert traces(api, PHONE) == ["erasures"]
    record(
        api,
        Verdict(refused, Finish(MessageState.FAILED), Error.REJECTED, words=CITY),
        Verdict(retried, Retry(timedelta(0)), Error.TIMED_OUT, ambiguous=True, words=CITY),
    )
    assert traces(api, CITY) == ["attempts"] * 1
    later(api)
    assert traces(api, PHONE, CITY) == []
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        claim_messages(connection, entries, {second: [retried.id]}, lease=timedelta(minutes=1))
    assert api.get(f"/mailings/{first}/detail_statistics/")["failed"] == 1
    assert api.get(f"/mailings/{second}/detail_statistics/")["unknown"] == 1


def test_one_that_somebody_has_locked_holds_nobody_up_and_goes_the_next_time(api: Api, anna: Any) -> None:
    launched(api)
    with superuser(api.engine) as holder:
        holder.execute(text("select from messages for update"))
        assert erase(api, anna["id"]) == 204
        api.execute("update erasures set at = at - interval '15 min'")
        with api.engine.connect() as connection:
            assert EraseTraces().run(Step(Isolation(connection, Slot("keeper")), ())) is False
        assert set(traces(api, PHONE)) == {"messages", "erasures"}
    later(api)
    assert traces(api, PHONE) == []


def test_a_message_that_a_launch_writes_meanwhile_is_erased_later(api: Api, anna: Any) -> None:
    mailing_id = launched(api)
    assert erase(api, anna["id"]) == 204
    api.execute(f"update messages set phone = {PHONE} where client_id = {anna['id']}")
    later(api)
    assert traces(api, PHONE) == []
    assert api.get(f"/mailings/{mailing_id}/detail_statistics/")["cancelled"] == 1


def test_nothing_goes_before_its_time_and_nobody_elses(api: Api, anna: Any) -> None:
    imported(api, {"phone": PHONE, "timezone": "Nowhere"}, {"phone": OTHER, "timezone": "Nowhere"})
    assert erase(api, anna["id"]) == 204
    with api.engine.connect() as connection:
        assert EraseTraces().run(Step(Isolation(connection, Slot("keeper")), ())) is False
    assert "refused_lines" in traces(api, PHONE)
    later(api)
    assert set(traces(api, OTHER)) == {"clients", "imports", "refused_lines"}
    assert traces(api, PHONE) == []
    shown = api.get("/clients/imports/")[0]
    assert [one["value"][:9] for one in shown["errors"]] == ["", '{"phone":']


def test_a_suppression_outlives_them(api: Api, anna: Any) -> None:
    made = api.make("/suppressions/", {"phone": PHONE})
    assert erase(api, anna["id"]) == 204
    assert traces(api, PHONE) == ["erasures"]
    assert api.make("/clients/", {"phone": PHONE})["id"] != anna["id"]
    assert api.execute("select suppression_id from clients where phone = :phone", phone=int(PHONE)) == made["id"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("number 79123456789 is blocked", "number 7912*****89 is blocked"),
        ("+7 (912) 345-67-89!", "+7912*****89!"),
        ("8 912 345 67 89", "8912*****89"),
        ("9123456789", "9123*****89"),
        ('{"to":"79123456789"}', '{"to":"7912*****89"}'),
        ("error 400 after 12 s, id 123456", "error 400 after 12 s, id 123456"),
        ("2026-01-31T09:00:00.791234Z", "2026-01-31T09:00:00.791234Z"),
    ],
)
def test_a_phone_in_what_others_say_is_masked(said: str, left: str) -> None:
    assert without_phones(said) in (left, left.replace("+", ""))
    assert has_phone(said, PHONE) == ("*" in left)


def imported(api: Api, *lines: Any) -> Any:
    data = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer = api("POST", "/clients/import/", data=data, content_type="application/x-ndjson")
    assert answer.status == 200, answer.body
    return answer.json
