"""A phone that is suppressed gets nothing any more, whoever has it, and whatever is being written at that moment."""

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api_service.directory import batch, suppression_command, suppression_file
from api_service.directory.comparing import KeyMissing
from api_service.directory.rotating import rotate
from api_service.directory.suppression_keys import check, digests_of
from api_service.web.work import Work
from dispatcher_service.leading.chores import suppress_again
from shared.audit import Actor
from shared.domain.digests import NO_KEYS, Digests
from shared.domain.errors import SettingsError
from shared.ledger.entries import open_entries
from shared.messages.claim import claim_messages
from shared.settings import load
from tests.support.api import DIGESTS, Api, running
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_fixture",)

PHONE, OTHER = "79123456789", "79260000000"
LEASE = timedelta(seconds=30)


def suppress(api: Api, phone: str = PHONE, **more: str) -> Any:
    return api.make("/suppressions/", {"phone": phone, **more})


def client(api: Api, phone: str = PHONE, **more: Any) -> Any:
    return api.make("/clients/", {"phone": phone, **more})


def mailing_to(api: Api, **more: Any) -> int:
    """One that is launched."""
    mailing_id: int = api.make("/mailings/", running(**more))["id"]
    api.launch(mailing_id)
    return mailing_id


def detail(api: Api, mailing_id: int) -> Any:
    return api.get(f"/mailings/{mailing_id}/detail_statistics/")


def flag_of(api: Api, phone: str = PHONE) -> Any:
    return api.execute("select suppression_id from clients where phone = :phone", phone=int(phone))


def claim(api: Api, *mailing_ids: int) -> list[str]:
    """The phones that a dispatcher would call now."""
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        rows = connection.execute(text("select mailing_id, id from messages")).all()
        ids = {one: [row.id for row in rows if row.mailing_id == one] for one in mailing_ids}
        found = claim_messages(connection, entries, ids, lease=LEASE)
        return sorted(str(message.phone) for message in found.messages) if found else []


# ---------------------------------------------------------------- the list


def test_what_is_shown_of_one(api: Api) -> None:
    anna = client(api)
    made = suppress(api, reason="STOP", source="crm")
    assert made == {"id": 1, "reason": "STOP", "source": "crm", "since": made["since"], "client_id": anna["id"]}
    unknown = suppress(api, OTHER)
    assert (unknown["reason"], unknown["source"], unknown["client_id"]) == ("", "", None)
    assert api.get("/suppressions/") == [made, unknown]
    assert api.get(f"/suppressions/?phone={PHONE}") == [made]
    assert api.get("/suppressions/?phone=79990000000") == []
    assert api("GET", "/suppressions/?page_size=1").total == 2


def test_one_that_is_there_stays_as_it_is(api: Api) -> None:
    made = suppress(api, reason="first")
    assert suppress(api, reason="second") == made
    assert api.get("/suppressions/") == [made]
    assert len(api.get("/audit/?thing=suppression")) == 1


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "phone"), ({"phone": "8912"}, "phone"), ({"phone": 79123456789}, "phone"),
        ({"phone": PHONE, "reason": "r" * 201}, "reason"), ({"phone": PHONE, "source": "s" * 65}, "source"),
        ({"phone": PHONE, "reason": "a\0"}, "reason"), ({"phone": PHONE, "id": 1}, "id"),
        ({"phone": PHONE, "client_id": 1}, "client_id"),
    ],
)  # fmt: skip
def test_what_is_refused(api: Api, body: Any, fault: str) -> None:
    answer = api("POST", "/suppressions/", body)
    assert (answer.status, answer.at_fault) == (422, {fault})
    assert api.get("/suppressions/") == []


def test_no_answer_and_no_table_has_the_phone(api: Api) -> None:
    suppress(api)
    api.execute("update suppressions set since = since - interval '15 s'")
    again(api)
    answers = [api("GET", path).body for path in ("/suppressions/", f"/suppressions/?phone={PHONE}", "/audit/")]
    assert not any(PHONE.encode() in answer for answer in answers)
    for table in ("suppressions", "suppression_keys", "audit"):
        assert api.execute(f"select count(*) from {table} t where t::text like :digits", digits=f"%{PHONE[1:]}%") == 0


def test_the_audit_says_who_did_it(api: Api) -> None:
    made = suppress(api, reason="STOP")
    assert api("DELETE", f"/suppressions/{made['id']}/").status == 204
    lines = api.get("/audit/?thing=suppression")
    assert [(line["action"], line["thing_id"], line["by"]) for line in lines] == [
        ("create", "1", "anybody"), ("delete", "1", "anybody"),
    ]  # fmt: skip


def test_a_repeated_request_is_answered_the_same(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (api("POST", "/suppressions/", {"phone": PHONE}, headers=headers) for _ in range(2))
    assert (first.status, second.status, first.body == second.body) == (201, 201, True)
    assert second.headers["Idempotency-Replayed"] == "true"


# ---------------------------------------------------------------- what it does


def test_what_waits_is_skipped_at_once_and_counted_everywhere(api: Api) -> None:
    client(api)
    client(api, OTHER)
    mailing_id = mailing_to(api)
    suppress(api)
    shown = detail(api, mailing_id)
    assert (shown["audience"], shown["skipped"], shown["pending"]) == (2, 1, 1)
    assert (shown["skipped_because"], shown["errors"]) == ({"opted_out": 1}, {})
    [skipped] = api.get(f"/mailings/{mailing_id}/detail_statistics/?status=skipped")["messages"]
    assert (skipped["error"], skipped["due_at"], skipped["calls"]) == ("opted_out", None, 0)
    assert api.get("/mailings/general_statistics/")["skipped"] == 1
    assert claim(api, mailing_id) == [OTHER]


def test_a_mailing_that_starts_later_skips_from_the_start(api: Api) -> None:
    suppress(api)
    client(api)
    client(api, OTHER)
    mailing_id = mailing_to(api)
    shown = detail(api, mailing_id)
    assert (shown["audience"], shown["skipped"], shown["pending"]) == (2, 1, 1)
    assert shown["skipped_because"] == {"opted_out": 1}
    assert claim(api, mailing_id) == [OTHER]


def test_a_claim_skips_whom_it_finds_flagged(api: Api) -> None:
    """As after a suppression that was committed beside a launch."""
    client(api)
    mailing_id = mailing_to(api)
    api.execute("update clients set suppression_id = 1")
    assert claim(api, mailing_id) == []
    assert detail(api, mailing_id)["skipped_because"] == {"opted_out": 1}


def test_one_that_may_have_been_delivered_is_unknown(api: Api) -> None:
    client(api)
    mailing_id = mailing_to(api)
    api.execute("update messages set calls = 1, maybe_delivered = true, error = 'timed_out'")
    suppress(api)
    shown = detail(api, mailing_id)
    assert (shown["unknown"], shown["skipped"], shown["skipped_because"]) == (1, 0, {})
    assert shown["messages"][0]["error"] == "timed_out"


def test_it_outlives_the_client_and_nobody_is_revived(api: Api) -> None:
    made = suppress(api)
    for _ in range(2):
        anna = client(api)
        assert flag_of(api) == made["id"]
        assert api.get("/suppressions/")[0]["client_id"] == anna["id"]
        assert api("DELETE", f"/clients/{anna['id']}/").status == 204
        assert api.get("/suppressions/")[0]["client_id"] is None
    imported(api, [{"phone": PHONE}, {"phone": OTHER}])
    assert (flag_of(api), flag_of(api, OTHER)) == (made["id"], None)
    assert claim(api, mailing_to(api)) == [OTHER]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_it_goes_with_the_phone(api: Api, method: str) -> None:
    made = suppress(api)
    anna = client(api, OTHER)
    mailing_id = mailing_to(api)
    assert api(method, f"/clients/{anna['id']}/", {"phone": PHONE}).status == 200
    assert flag_of(api) == made["id"]
    assert detail(api, mailing_id)["skipped_because"] == {"opted_out": 1}
    assert api(method, f"/clients/{anna['id']}/", {"phone": OTHER}).status == 200
    assert flag_of(api, OTHER) is None
    assert claim(api, mailing_to(api)) == [OTHER]


def test_it_changes_nothing_that_users_can_set(api: Api) -> None:
    anna = client(api)
    suppress(api)
    assert api.get(f"/clients/{anna['id']}/") == anna


def test_lifted_it_holds_no_more_and_what_was_skipped_stays_so(api: Api) -> None:
    client(api)
    mailing_id = mailing_to(api)
    made = suppress(api)
    assert api("DELETE", f"/suppressions/{made['id']}/").status == 204
    assert api("DELETE", f"/suppressions/{made['id']}/").status == 404
    assert claim(api, mailing_id) == []
    assert detail(api, mailing_id)["skipped"] == 1
    assert claim(api, mailing_to(api)) == [PHONE]
    assert suppress(api)["id"] > made["id"]


# ---------------------------------------------------------------- files


def suppress_file(api: Api, data: str | bytes, content_type: str = "text/csv") -> Any:
    answer = api("POST", "/suppressions/import/", data=data, content_type=content_type)
    assert answer.status == 200, answer.body
    return answer.json


def test_a_file_of_them(api: Api) -> None:
    client(api)
    mailing_id = mailing_to(api)
    known = suppress(api, "79990000000", reason="before")
    file = (
        "\ufeffТелефон;Причина;Source;Timezone\r\n8 (912) 345-67-89;STOP;crm;Nowhere\r\n89990000000;now;;\r\n;;;x\r\n"
    )
    answer = suppress_file(api, file.encode())
    assert {name: answer[name] for name in ("lines", "created", "known", "refused")} == {
        "lines": 3, "created": 1, "known": 1, "refused": 1,
    }  # fmt: skip
    assert [one["taken_as"] for one in answer["columns"]] == ["phone", "reason", "source", None]
    assert [one["line"] for one in answer["errors"]] == [4]
    [new] = api.get(f"/suppressions/?phone={PHONE}")
    assert (new["reason"], new["source"]) == ("STOP", "crm")
    assert api.get("/suppressions/?phone=79990000000") == [known]
    assert detail(api, mailing_id)["skipped_because"] == {"opted_out": 1}
    again = suppress_file(api, file.encode())
    assert (again["created"], again["known"]) == (0, 2)
    assert [line["after"]["created"] for line in api.get("/audit/?thing=suppressions")] == [1, 0]


def test_every_refused_line_of_a_file_is_kept_to_be_mended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LINES", 70)
    clients = api("POST", "/clients/import/", data=b"phone\nnone of a client\n", content_type="text/csv").json["id"]
    lines = [f"7912{number:07};STOP" if number % 2 else f"7912{number:06};+STOP" for number in range(500)]
    answer = suppress_file(api, "\n".join(["Phone;Reason", *lines]))
    assert (answer["created"], answer["refused"], len(answer["errors"])) == (250, 250, 100)
    assert answer["id"] == clients, "the kinds of files are numbered apart, and are not taken for each other"
    file = api("GET", f"/suppressions/imports/{answer['id']}/refused/")
    assert (file.status, file.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    head, *found = csv.reader(io.StringIO(file.body.decode("utf-8-sig"), newline=""), delimiter=";")
    assert head == ["line", "reason", "value", "Phone", "Reason"]
    assert [row[0] for row in found] == [str(number + 2) for number in range(0, 500, 2)]
    assert found[0][2:] == ["7912000000", "7912000000", "'+STOP"]
    mended = suppress_file(api, file.body.replace(b";7912", b";79129"))
    assert (mended["created"], mended["refused"]) == (250, 0)
    assert len(api("GET", f"/suppressions/imports/{mended['id']}/refused/").body.splitlines()) == 1
    assert len(api("GET", f"/clients/imports/{clients}/refused/").body.splitlines()) == 2
    assert api("GET", "/suppressions/imports/99/refused/").status == 404
    api.execute("delete from refused_lines")
    gone = api("GET", f"/suppressions/imports/{answer['id']}/refused/")
    assert (gone.status, "7 days" in gone.json["message"]) == (404, True)


def test_the_same_as_ndjson(api: Api) -> None:
    lines = [{"phone": PHONE, "reason": "STOP", "source": "s" * 65}, {"phone": OTHER}, {"phone": OTHER, "tag": "x"}]
    data = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer = suppress_file(api, data, "application/x-ndjson")
    assert (answer["created"], answer["refused"]) == (1, 2)
    assert [sorted(one["errors"]) for one in answer["errors"]] == [["source"], ["tag"]]


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [("name\nAnna\n", "text/csv", 422), ("", "text/csv", 422), ("phone\n", "image/png", 415)],
)
def test_a_file_that_is_none(api: Api, data: str, content_type: str, status: int) -> None:
    assert api("POST", "/suppressions/import/", data=data, content_type=content_type).status == status
    assert api.get("/suppressions/") == []


def test_a_file_that_breaks_off_leaves_batches_with_their_lines_of_the_audit(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies after a batch has nothing left to write."""
    monkeypatch.setattr(batch, "LINES", 10)
    before = len(api.get("/audit/?thing=suppressions&page_size=100"))

    def file() -> Iterator[bytes]:
        yield b"phone\n" + b"".join(b"7900000%04d\n" % number for number in range(25))
        raise ConnectionError

    work = Work(api.engine, Actor("anybody"))
    with pytest.raises(ConnectionError):
        suppression_file.take(work, DIGESTS, suppression_file.read("text/csv", file(), None))
    kept = api.execute("select count(*) from suppressions")
    told = api.get("/audit/?thing=suppressions&page_size=100")[before:]
    assert kept == sum(line["after"]["created"] for line in told) == 10 * len(told) > 0


def test_a_file_of_many(api: Api) -> None:
    phones = [79000000000 + number for number in range(25_000)]
    answer = suppress_file(api, "phone\n" + "".join(f"{phone}\n" for phone in phones))
    assert (answer["lines"], answer["created"]) == (25_000, 25_000)
    assert api.execute("select count(distinct digest) from suppressions") == 25_000
    imported(api, [{"phone": str(phone)} for phone in phones[::5000]])
    assert api.execute("select count(suppression_id) from clients") == 5


# ---------------------------------------------------------------- at the same moment


WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def beside(api: Api, table: str, first: Any, second: Any) -> tuple[Any, Any]:
    """What both return; the second is asked for while the first, which writes to this table last, has done its work and
    not committed."""
    with ThreadPoolExecutor(2) as pool:
        with superuser(api.engine) as holder:
            holder.execute(text(f"lock table {table} in share mode"))
            one = pool.submit(first)
            wait_until(lambda: one.done() or waiting(api) >= 1)
            assert not one.done()
            two = pool.submit(second)
            wait_until(lambda: two.done() or waiting(api) >= 2)
        return one.result(), two.result()


def waiting(api: Api) -> int:
    return int(api.execute(WAITING))


@pytest.mark.parametrize("is_first", [True, False])
def test_beside_who_is_being_created(api: Api, is_first: bool) -> None:
    acts = [lambda: suppress(api), lambda: client(api)]
    beside(api, "audit", *(acts if is_first else reversed(acts)))
    assert flag_of(api) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_beside_who_is_given_the_phone(api: Api, is_first: bool) -> None:
    anna = client(api, OTHER)
    acts = [lambda: suppress(api), lambda: api("PATCH", f"/clients/{anna['id']}/", {"phone": PHONE})]
    beside(api, "audit", *(acts if is_first else reversed(acts)))
    assert flag_of(api) == 1


def test_beside_who_is_being_imported(api: Api) -> None:
    """The batch has compared, and is not committed: the answer comes when it is."""
    file, made = beside(api, "import_clients", lambda: imported(api, [{"phone": PHONE}]), lambda: suppress(api))
    assert file["created"] == 1
    assert made["client_id"] is not None
    assert flag_of(api) == 1


def test_beside_a_launch_whose_messages_nobody_sees_yet(api: Api) -> None:
    client(api)
    mailing_id = api.make("/mailings/", running())["id"]
    launched, made = beside(api, "mailing_counters", lambda: api.launch(mailing_id), lambda: suppress(api))
    assert (launched, made["client_id"]) == (1, 1)
    assert claim(api, mailing_id) == []
    assert detail(api, mailing_id)["skipped"] == 1


def test_beside_a_claim_that_is_under_way(api: Api) -> None:
    """What is on the wire is left to its dispatcher; once it is handed back it is skipped."""
    client(api)
    mailing_id = mailing_to(api)
    assert claim(api, mailing_id) == [PHONE]
    suppress(api)
    assert detail(api, mailing_id)["sending"] == 1
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        connection.execute(text("update messages set status = 'pending', claim_id = null, due_at = now()"))
        entries.moved(mailing_id, "sending", "pending")  # type: ignore[arg-type]
    assert claim(api, mailing_id) == []
    assert detail(api, mailing_id)["skipped"] == 1


# ---------------------------------------------------------------- the second time


def again(api: Api) -> Any:
    with api.engine.begin() as connection, open_entries(connection, 2) as entries:
        return suppress_again._apply(connection, entries)


def test_it_is_applied_a_second_time_and_forgets_the_phone(api: Api) -> None:
    """For a client who was written by who knows nothing of the list."""
    suppress(api)
    client(api, OTHER)
    mailing_id = mailing_to(api)
    api.execute(f"update clients set phone = {PHONE}")
    assert again(api).number == 0  # not yet
    assert api.execute("select phone from suppressions") == int(PHONE)
    api.execute("update suppressions set since = since - interval '15 s'")
    done = again(api)
    assert (done.number, len(done.late), flag_of(api)) == (1, 1, 1)
    assert detail(api, mailing_id)["skipped_because"] == {"opted_out": 1}
    assert api.execute("select phone from suppressions") is None
    assert again(api).number == 0


# ---------------------------------------------------------------- keys


NEW = Digests({1: b"a key that only these tests have, and nobody else", 2: b"another one"})


def test_a_digest_says_nothing_without_its_key() -> None:
    assert DIGESTS.of(79123456789, 1) != NEW.of(79123456789, 2)
    assert DIGESTS.all_of(79123456789) == [NEW.of(79123456789, 1)]
    assert len(DIGESTS.of(79123456789, 1)) == 32


def test_another_key_is_taken_into_use(api: Api) -> None:
    client(api)
    suppress(api)
    suppress(api, OTHER)
    api.execute("update suppressions set phone = null")  # as the second time leaves them
    after = Api(api.engine, digests=NEW)
    for _ in range(2):
        done = rotate(Work(api.engine, Actor("command")), NEW)
        assert (done.version, dict(done.left)) == (2, {1: 1})  # nobody has the other phone
    assert api.execute("select count(*) from suppressions where key_version = 2") == 1
    assert [one["id"] for one in after.get(f"/suppressions/?phone={PHONE}")] == [1]
    assert [one["id"] for one in after.get(f"/suppressions/?phone={OTHER}")] == [2]
    client(after, OTHER)
    assert flag_of(api, OTHER) == 2
    done = rotate(Work(api.engine, Actor("command")), NEW)
    assert (done.renewed, dict(done.left)) == (1, {})
    without_old = Api(api.engine, digests=Digests({2: b"another one"}))
    assert [one["id"] for one in without_old.get(f"/suppressions/?phone={OTHER}")] == [2]
    assert len(without_old.get("/audit/?thing=suppression_keys")) == 1


def test_the_command_says_what_is_left_to_do(api: Api, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"DATABASE_URL": database_url, "SUPPRESSION_KEYS": f"1:{'a' * 32}"}
    both = load(first | {"SUPPRESSION_KEYS": f"1:{'a' * 32},2:{'b' * 32}"})
    before = Api(api.engine, digests=digests_of(load(first)))
    suppress(before)
    api.execute("update suppressions set phone = null")
    assert suppression_command.run(both) == 0
    assert "Key 1 is still needed by 1: nobody in the directory has their phones." in capsys.readouterr().out
    client(Api(api.engine, digests=digests_of(both)))
    assert suppression_command.run(both) == 0
    assert "No older key is needed any more." in capsys.readouterr().out
    assert suppression_command.run(load(first)) == 1  # which has not the key that is in use
    assert "SUPPRESSION_KEYS" in capsys.readouterr().err


def test_under_load_no_comparison_misses(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """While suppressions are made anew, slice by slice, clients come and go who have their phones."""
    phones = [str(79120000000 + number) for number in range(60)]
    for phone in phones:
        client(api, phone)
        suppress(api, phone)
    monkeypatch.setattr("api_service.directory.rotating.SLICE", 1)
    both = Api(api.engine, digests=NEW)
    with ThreadPoolExecutor(3) as pool:
        rotating = pool.submit(rotate, Work(api.engine, Actor("command")), NEW)
        rounds = 0
        while not rotating.done() or not rounds:
            rounds += 1
            list(pool.map(lambda phone: len(both.get(f"/suppressions/?phone={phone}")) or pytest.fail(phone), phones))
        assert rotating.result().renewed == 60
    assert api.execute("select count(*) from suppression_keys") == 1


def test_without_the_key_nobody_could_tell_and_nothing_is_written(api: Api) -> None:
    made = suppress(api)
    anna = client(api, OTHER)
    for digests in (NO_KEYS, Digests({1: b"a wrong one"}), Digests({2: b"another one"})):
        strange = Api(api.engine, digests=digests)
        for method, path, body in (
            ("POST", "/clients/", {"phone": PHONE}),
            ("PATCH", f"/clients/{anna['id']}/", {"phone": PHONE}),
            ("POST", "/suppressions/", {"phone": OTHER}),
            ("GET", f"/suppressions/?phone={PHONE}", None),
        ):
            answer = strange(method, path, body)
            assert (answer.status, answer.json["type"]) == (503, "unavailable")
        data = json.dumps({"phone": PHONE})
        assert strange("POST", "/clients/import/", data=data, content_type="application/x-ndjson").status == 503
        with pytest.raises(SettingsError, match="SUPPRESSION_KEYS"):
            check(api.engine, digests)
        with pytest.raises(KeyMissing):
            rotate(Work(api.engine, Actor("command")), digests)
    check(api.engine, DIGESTS)
    assert api.get("/suppressions/") == [made]
    assert [one["phone"] for one in api.get("/clients/")] == [OTHER]


def test_without_any_key_everything_goes_on_as_long_as_nobody_is_suppressed(api: Api) -> None:
    plain = Api(api.engine, digests=NO_KEYS)
    client(plain)
    assert imported(plain, [{"phone": OTHER}])["created"] == 1
    assert plain("POST", "/suppressions/", {"phone": PHONE}).status == 503
    check(api.engine, NO_KEYS)


def test_a_key_is_made_and_kept_where_none_is_named(tmp_path: Any) -> None:
    settings = load({"DATA_DIR": str(tmp_path / "new")})
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: digests_of(settings).all_of(1), range(16)))
    assert made == [digests_of(settings).all_of(1)] * 16
    [file] = (tmp_path / "new").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert digests_of(load({"DATA_DIR": str(tmp_path / "other")})).all_of(1) != made[0]
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="SUPPRESSION_KEYS"):
        digests_of(load({"DATA_DIR": str(tmp_path / "file")}))


def imported(api: Api, lines: list[Any]) -> Any:
    data = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer = api("POST", "/clients/import/", data=data, content_type="application/x-ndjson")
    assert answer.status == 200, answer.body
    return answer.json
