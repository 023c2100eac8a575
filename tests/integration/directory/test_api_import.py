"""Files of clients: what is taken, what is refused, and what is said about it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from api_service.directory import batch, staging
from api_service.directory.files.lines import ClientFile, Row
from api_service.directory.importer import Importer
from api_service.directory.progress import Silence
from api_service.web.problems import Unavailable
from shared.audit import Actor
from shared.database.engine import make_engine
from tests.support.api import Answer, Api
from tests.support.client_files import FILES, WHAT_IS_RIGHT
from tests.support.files import COLUMNS, as_csv, as_ndjson
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

CSV, NDJSON = "text/csv", "application/x-ndjson"
PHONE = ["Must be 11 digits, the first of them 7."]


@pytest.fixture
def api(books_engine: Engine) -> Api:
    """On one database for the whole module, emptied for each test."""
    _empty(books_engine)
    return Api(books_engine, default_timezone="Asia/Omsk")


def _empty(engine: Engine) -> None:
    with superuser(engine) as connection:
        connection.execute(text("truncate clients, imports, import_clients, refused_lines restart identity"))


def send(api: Api, data: bytes, content_type: str = CSV, query: str = "") -> Answer:
    return api("POST", f"/clients/import/{query}", data=data, content_type=content_type)


def take(api: Api, data: bytes, content_type: str = CSV) -> Any:
    answer = send(api, data, content_type)
    assert (answer.status, answer.json["state"], answer.json["failure"]) == (200, "finished", None), answer.body
    assert answer.json["lines"] == sum(answer.json[name] for name in ("created", "updated", "refused"))
    return answer.json


def counts(answer: Any) -> tuple[int, int, int]:
    return answer["created"], answer["updated"], answer["refused"]


def faults(answer: Any) -> list[tuple[int, Any]]:
    """The lines that were refused, each with what is wrong."""
    return [(error["line"], error["errors"]) for error in answer["errors"]]


def stored(api: Api) -> dict[str, dict[str, str]]:
    """By phone."""
    with api.engine.connect() as connection:
        rows = connection.execute(text("select phone::text, operator_code, tag, timezone from clients"))
        return {row.phone: dict(row._mapping) for row in rows}


ANNA = {"phone": "79123456789", "operator_code": "926", "tag": "vip", "timezone": "Europe/Moscow"}
BORIS = {"phone": "79260000000", "operator_code": "926", "tag": "", "timezone": "Asia/Omsk"}


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        (CSV, as_csv([ANNA, {"phone": BORIS["phone"]}])),
        (CSV, as_csv([ANNA, {"phone": BORIS["phone"]}], end="\r\n")),
        (CSV, b"\xef\xbb\xbf" + as_csv([ANNA, {"phone": BORIS["phone"]}], COLUMNS[::-1]).rstrip()),
        ("text/csv; charset=utf-8", b'"phone","tag"\n\n"79260000000",""\n\n'),
        (NDJSON, as_ndjson([ANNA, {"phone": BORIS["phone"]}])),
        ("application/jsonl", b"\xef\xbb\xbf" + as_ndjson([{"phone": BORIS["phone"]}, ANNA]).replace(b"\n", b"\r\n")),
        ("application/ndjson", b"\n \n" + as_ndjson([BORIS, ANNA]).rstrip()),
    ],
)
def test_a_file_is_taken(api: Api, content_type: str, data: bytes) -> None:
    expected = {one["phone"]: one for one in (ANNA, BORIS) if one["phone"].encode() in data}
    assert counts(take(api, data, content_type)) == (len(expected), 0, 0)
    assert stored(api) == expected
    assert counts(take(api, data, content_type)) == (0, len(expected), 0)
    assert stored(api) == expected


def test_what_a_line_leaves_out_stays(api: Api) -> None:
    api.make("/clients/", ANNA)
    assert counts(take(api, b"phone,tag\n79123456789,regular\n")) == (0, 1, 0)
    assert stored(api)[ANNA["phone"]] == ANNA | {"tag": "regular"}
    take(api, b"tag,phone,timezone,operator_code\n,79123456789,,\n")  # an empty cell says nothing
    assert stored(api)[ANNA["phone"]] == ANNA | {"tag": "regular"}
    take(api, as_ndjson([{"phone": ANNA["phone"], "tag": "", "timezone": "Asia/Omsk"}]), NDJSON)
    assert stored(api)[ANNA["phone"]] == ANNA | {"tag": "", "timezone": "Asia/Omsk"}


def test_what_changes_nothing_writes_nothing(api: Api) -> None:
    take(api, as_csv([ANNA, BORIS]))
    versions = "select array_agg(xmin::text || ctid::text order by id) from clients"
    before = api.execute(versions)
    take(api, as_csv([ANNA, BORIS]))
    assert api.execute(versions) == before


def test_of_lines_about_the_same_phone_the_last_one_wins(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [ANNA | {"tag": tag} for tag in "abc"] + [{"phone": ANNA["phone"], "timezone": "Asia/Omsk"}]
    for lines_at_once in (batch.LINES, 2):
        monkeypatch.setattr(batch, "LINES", lines_at_once)
        _empty(api.engine)
        assert counts(take(api, as_ndjson(lines), NDJSON)) == (1, 3, 0)
        assert stored(api)[ANNA["phone"]] == ANNA | {"tag": "c", "timezone": "Asia/Omsk"}


TAGS = ["back\\slash", "\\N", "\\.", "a\tb", 'quo"te', "com,ma", "Кошка 👋", " ", "a\nb", "x" * 64, "a\x7fb", "\u2028"]


@pytest.mark.parametrize("content_type", [CSV, NDJSON])
def test_any_tag_arrives_as_it_was_sent(api: Api, content_type: str) -> None:
    """But for blanks at its ends."""
    clients = [{**ANNA, "phone": f"7912000{number:04}", "tag": tag} for number, tag in enumerate(TAGS)]
    assert counts(take(api, (as_csv if content_type == CSV else as_ndjson)(clients), content_type))[0] == len(TAGS)
    assert stored(api) == {client["phone"]: client | {"tag": client["tag"].strip()} for client in clients}


NOT_UTF8 = {"_schema": ["Is not UTF-8."]}
TOO_LONG = {"_schema": ["Has more than 64 KiB."]}
NUL = {"tag": ["Must not contain NUL characters or unpaired surrogates."]}

WRONG_CSV: list[tuple[bytes, Any]] = [
    (b"+12025550123,,,", {"phone": PHONE}),
    (b",,vip,", {"phone": PHONE}),
    (b"79123456789,91,,", {"operator_code": ["Must be three digits."]}),
    (b"79123456789,,,Mars", {"timezone": ["Must be an IANA time zone such as Europe/Moscow."]}),
    (b"1,2," + b"t" * 65 + b",4", {"phone": ANY, "operator_code": ANY, "tag": ANY, "timezone": ANY}),
    (b"79123456789,,a\0b,", NUL),
    (b"79123456789,,\xff,", NOT_UTF8),
    (b"79123456789,,vip,,x", {"_schema": ["Has 5 cells, and there are 4 columns."]}),
    (b"79123456789,," + b"t" * 70_000 + b",", TOO_LONG),
    (b"79123456789,," + b"t" * 900_000 + b",", TOO_LONG),
    (b'79123456789,,"a"b,', {"_schema": [ANY]}),
]
WRONG_NDJSON: list[tuple[bytes, Any]] = [
    (b'{"phone": "+79123456789"}', {"phone": PHONE}),
    (b'{"phone": 79123456789}', {"phone": ["Must be a string."]}),
    (b'{"phone": null}', {"phone": ["Field may not be null."]}),
    (b"{}", {"phone": ["Missing data for required field."]}),
    (b'{"phone": "79123456789", "tag": ["vip"]}', {"tag": ["Must be a string."]}),
    (b'{"phone": "79123456789", "operator_code": ""}', {"operator_code": ["Must be three digits."]}),
    (b'{"phone": "79123456789", "id": 1}', {"id": ["Unknown field."]}),
    (b'{"phone": "79123456789", "a\\u0000\\ud800": 1}', {"a??": ["Unknown field."]}),
    (b'{"phone": "79123456789", "tag": "\\u0000"}', NUL),
    (b'{"phone": "79123456789", "tag": "\\ud800"}', NUL),
    (b'{"phone": "79123456789", "phone": "79123456789"}', {"phone": ["Is given twice."]}),
    (b'["79123456789"]', {"_schema": ["Must be a JSON object."]}),
    (b'"79123456789"', {"_schema": ["Must be a JSON object."]}),
    (b"null", {"_schema": ["Must be a JSON object."]}),
    (b"{'phone': 1}", {"_schema": ["Is not JSON."]}),
    (b'{"phone": NaN}', {"_schema": ["Is not JSON."]}),
    (b'{"phone": "79123456789"} {}', {"_schema": ["Is not JSON."]}),
    (b"[" * 8000, {"_schema": ["Is not JSON."]}),
    (b'{"phone": "\xff"}', NOT_UTF8),
    (b'{"phone": "79123456789", "tag": "' + b"t" * 70_000 + b'"}', TOO_LONG),
    (b"{" + b",".join(b'"%d": 1' % number for number in range(500)) + b"}", ANY),
]


@pytest.mark.parametrize(
    ("content_type", "head", "good", "wrong"),
    [(CSV, b"phone,operator_code,tag,timezone\n", as_csv([ANNA, BORIS]).splitlines()[1:], WRONG_CSV),
     (NDJSON, b"", as_ndjson([ANNA, BORIS]).splitlines(), WRONG_NDJSON)],
    ids=["CSV", "NDJSON"],
)  # fmt: skip
def test_a_wrong_line_is_named_and_the_others_are_taken(
    api: Api, content_type: str, head: bytes, good: list[bytes], wrong: list[tuple[bytes, Any]]
) -> None:
    lines = [good[0], *(line for line, _ in wrong), good[1]]
    answer = take(api, head + b"\n".join(lines), content_type)
    first = 2 + bool(head)
    assert faults(answer) == [(line, errors) for line, (_, errors) in enumerate(wrong, first)]
    assert counts(answer) == (2, 0, len(wrong))
    assert stored(api) == {one["phone"]: one for one in (ANNA, BORIS)}
    assert api.get(f"/clients/imports/{answer['id']}/") == answer


@pytest.mark.parametrize("content_type", [CSV, NDJSON])
def test_the_reasons_are_those_of_a_single_client(api: Api, content_type: str) -> None:
    for wrong in ({"phone": "8"}, {**ANNA, "tag": "t" * 65}, {**ANNA, "timezone": "../UTC", "operator_code": "x"}):
        alone = api("POST", "/clients/", wrong).json["errors"]["json"]
        data = as_csv([wrong]) if content_type == CSV else as_ndjson([wrong])
        assert faults(take(api, data, content_type)) == [(1 + (content_type == CSV), alone)]


def test_a_quoted_cell_may_go_over_several_lines(api: Api) -> None:
    answer = take(api, b'phone,tag\r\n79120000001,"a\r\nb"\r\nx,y\r\n79120000002,"c\n\nd"\r\nz,\r\n')
    assert [error["line"] for error in answer["errors"]] == [4, 8]
    assert [one["tag"] for one in stored(api).values()] == ["a\r\nb", "c\n\nd"]


def test_a_quote_that_is_never_closed_does_not_take_the_file_with_it(api: Api) -> None:
    many = "".join(f"{79120000000 + number},\n" for number in range(5000)).encode()
    answer = take(api, b'phone,tag\n79260000000,"\n' + many)
    assert faults(answer)[0] == (2, {"_schema": [ANY]})
    assert answer["refused"] == 1
    assert answer["created"] > 4000


def test_errors_are_listed_up_to_a_hundred_and_counted_beyond(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LINES", 70)
    answer = take(api, b"phone\n" + b"x\n" * 250)
    assert answer["refused"] == 250
    assert [error["line"] for error in answer["errors"]] == list(range(2, 102))


@pytest.mark.parametrize(
    ("data", "content_type", "status", "at_fault"),
    [
        (b"", CSV, 422, {"file"}),
        (b"", NDJSON, 422, {"file"}),
        (b"\xef\xbb\xbf", CSV, 422, {"file"}),
        (b"tag\nvip\n", CSV, 422, {"phone"}),
        (b"phone,phone\n79123456789,79123456789\n", CSV, 422, {"phone"}),
        ("phone,Телефон\n79123456789,79123456789\n".encode(), CSV, 422, {"phone", "Телефон"}),
        (b"79123456789\n", CSV, 422, {"phone"}),
        (b'"phone\n79123456789\n', CSV, 422, {"header"}),
        (b"\n79123456789\n", CSV, 422, {"phone"}),
        (b"\xff\xfet\0a\0g\0", CSV, 422, {"phone"}),
        (b"PK\x03\x04" + b"\0" * 600, CSV, 415, set()),
        (b"%PDF-1.7", "application/octet-stream", 415, set()),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel", 415, set()),
        (b"phone\n", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 415, set()),
        (b"phone\n79123456789\n", "text/csv; charset=klingon", 415, set()),
        (b"[{}]", "application/json", 415, set()),
        (b"phone\n79123456789\n", "text/plain", 415, set()),
        (b"phone\n79123456789\n", "", 415, set()),
    ],
)
def test_a_file_that_makes_no_sense_as_a_whole(
    api: Api, data: bytes, content_type: str, status: int, at_fault: Any
) -> None:
    answer = send(api, data, content_type)
    assert (answer.status, answer.at_fault) == (status, at_fault)
    assert (stored(api), api.get("/clients/imports/")) == ({}, [])


def test_a_column_that_is_not_known_is_an_attribute_unless_it_must_not_be(api: Api) -> None:
    data = "Телефон;Имя;id\n+7 912 345-67-89;Анна;5\n".encode()
    refused = send(api, data, query="?columns=strict")
    assert (refused.status, refused.at_fault) == (422, {"Имя", "id"})
    assert send(api, data, query="?columns=loose").status == 422
    answer = take(api, data)
    assert [column["taken_as"] for column in answer["columns"]] == ["phone", "attributes.Имя", "attributes.id"]
    assert (answer["encoding"], answer["separator"], answer["normalised"]) == ("utf-8", ";", 1)
    [client] = api.get("/clients/")
    assert (client["phone"], client["attributes"]) == ("79123456789", {"Имя": "Анна", "id": "5"})


@pytest.mark.parametrize("content_type", ["text/csv", "application/octet-stream", "application/vnd.ms-excel"])
def test_what_programs_call_a_table(api: Api, content_type: str) -> None:
    for data in (
        "phone;tag\r\n79123456789;новый\r\n".encode("cp1251"),
        "phone\ttag\n79123456789\tновый".encode("utf-16"),
    ):
        assert take(api, data, content_type)["lines"] == 1
        assert stored(api)["79123456789"]["tag"] == "новый"


def test_files_of_the_field_are_taken(api: Api) -> None:
    """What each says is told in `tests/unit/directory/test_client_files.py`."""
    refused = {"a22_quote_unclosed": 1, "b01_stray_quote_1000": 1, "phone_spellings": 1}
    for path in sorted(FILES.glob("*.csv")):
        _empty(api.engine)
        data = path.read_bytes()
        rehearsed = send(api, data, query="?dry_run=true").json
        answer = take(api, data)
        assert counts(answer) == (
            len(WHAT_IS_RIGHT[path.stem]) - refused.get(path.stem, 0),
            0,
            refused.get(path.stem, 0),
        )
        apart = {"id", "started_at", "ended_at"}
        assert {name: rehearsed[name] for name in rehearsed.keys() - apart} == {
            name: answer[name] for name in answer.keys() - apart
        }


def test_values_shortened_to_nothing_are_told(api: Api) -> None:
    answer = take(api, "phone,tag, Город\n79123456789,\u200b,\xa0\n79260000000,vip,Омск\n".encode())
    assert answer["emptied_values"] == [{"line": 2, "header": "tag"}, {"line": 2, "header": "Город"}]
    assert (answer["emptied"], answer["normalised"]) == (2, 1)


def test_nothing_but_a_header_is_a_file(api: Api) -> None:
    assert counts(take(api, b"phone\n")) == (0, 0, 0)


def test_imports_are_listed_by_name_the_newest_first(api: Api) -> None:
    ids = [send(api, b"phone\n", query=f"?name={name}").json["id"] for name in "aba"]
    assert [one["id"] for one in api.get("/clients/imports/")] == ids[::-1]
    assert [(one["id"], one["name"]) for one in api.get("/clients/imports/?name=a")] == [(ids[2], "a"), (ids[0], "a")]
    page = api("GET", "/clients/imports/?name=a&page=2&page_size=1")
    assert ([one["id"] for one in page.json], page.total) == ([ids[0]], 2)
    assert api("GET", "/clients/imports/99/").status == 404
    for query in ("?name=", f"?name={'n' * 65}", "?name=%00"):
        assert send(api, b"phone\n", query=query).status == 422
        assert api("GET", f"/clients/imports/{query}").status == 422


def test_one_that_is_not_heard_of_any_more_is_broken(api: Api) -> None:
    api.execute("insert into imports (heard_at) values (now() - interval '1 min'), (now() - interval '3 min')")
    broken, running = api.get("/clients/imports/")
    assert (running["state"], running["failure"]) == ("running", None)
    assert (broken["state"], broken["failure"]) == ("broken", "The process that read it is gone.")
    for _ in range(2):
        Silence(api.engine, set).look()
    ended, still = api.get("/clients/imports/")
    assert (ended["state"], ended["failure"], still["ended_at"]) == ("broken", broken["failure"], None)
    assert ended["ended_at"] is not None


def test_one_that_brings_no_line_for_long_is_alive_while_its_process_is(api: Api) -> None:
    """A slow file of blank rows, for example."""
    taking = api.app.extensions["importer"]
    look = Silence(api.engine, taking.running).look
    states = []

    def lines() -> Iterator[Row]:
        api.execute("update imports set heard_at = now() - interval '3 min'")
        states.append(api.get("/clients/imports/")[0]["state"])
        look()
        states.append(api.get("/clients/imports/")[0]["state"])
        yield Row(9, "79120000000")

    file = ClientFile(lines())
    taken = taking.take(taking.begin("", file, Actor("anybody")), file)
    assert (states, taken.failure, taken.created) == (["broken", "running"], None, 1)
    assert taking.running() == set()


def test_what_comes_when_the_import_has_been_ended_is_not_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line of the audit says what it did, and nothing is ever added to that."""
    monkeypatch.setattr(batch, "LINES", 2)
    taking = api.app.extensions["importer"]

    def lines() -> Iterator[Row]:
        for number in range(6):
            if number == 3:  # the first batch is stored meanwhile
                wait_until(lambda: stored(api))
                taking.end(import_id, "Its key is over.")
            yield Row(number, f"7912000000{number}")

    file = ClientFile(lines())
    import_id = taking.begin("", file, Actor("anybody"))
    ended = taking.take(import_id, file)
    assert (ended.failure, ended.lines, ended.created) == ("Its key is over.", 2, 2)
    assert set(stored(api)) == {"79120000000", "79120000001"}
    assert api.execute("select after ->> 'created' from audit order by id desc limit 1") == "2"


def test_a_database_that_goes_away_leaves_whole_batches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same file completes it."""
    monkeypatch.setattr(batch, "LINES", 10)
    clients = [{"phone": f"7912{number:07}"} for number in range(100)]
    api.execute(
        "create function wait() returns trigger language plpgsql as"
        " $$ begin if new.phone = 79120000035 then perform pg_advisory_xact_lock(5); end if; return new; end $$"
    )
    api.execute("create trigger wait before insert on clients for each row execute function wait()")
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(send(api, as_csv(clients))))
    with api.engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(5)"))
        thread.start()
        waiting = " from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
        while not api.execute(f"select count(*) {waiting}"):
            assert thread.is_alive()
        api.execute(f"select pg_terminate_backend(pid) {waiting}")
        thread.join(20)
    api.execute("drop trigger wait on clients")
    api.execute("drop function wait")
    assert (answers[0].status, answers[0].headers["Retry-After"]) == (503, "5")
    [broken] = api.get("/clients/imports/")
    assert (broken["state"], broken["failure"]) == ("broken", "The database did not answer.")
    assert broken["lines"] == 30
    assert set(stored(api)) == {client["phone"] for client in clients[:30]}
    assert counts(take(api, as_csv(clients))) == (70, 30, 0)
    assert len(stored(api)) == 100


def test_a_database_that_has_lost_a_batch_breaks_the_import(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a standby may that takes over without the last commits. Else nobody would know what is missing."""
    monkeypatch.setattr(batch, "LINES", 10)
    importer: Importer = api.app.extensions["importer"]

    def lines() -> Iterator[Row]:
        for number in range(40):
            if number == 25:
                wait_until(lambda: len(stored(api)) == 20)
                api.execute("update imports set lines = 10, created = 10")
                api.execute("delete from clients where phone >= 79120000010")
            yield Row(number, f"7912{number:07}")

    file = ClientFile(lines())
    import_id = importer.begin("", file, Actor("anybody"))
    with pytest.raises(Unavailable):
        importer.take(import_id, file)
    left = api.get(f"/clients/imports/{import_id}/")
    assert (left["state"], left["lines"], left["created"], len(stored(api))) == ("broken", 10, 10, 10)
    assert left["failure"] == "The database has lost lines of this file. Send it again."


def test_a_phone_that_changes_hands_meanwhile_costs_the_import_nothing(api: Api, books_url: str) -> None:
    """A client gets the phone that the import has just created, and the import waits to change that client: a deadlock,
    of which PostgreSQL ends the one that was first to wait for long enough."""
    api.make("/clients/", ANNA)
    name = api.engine.url.database
    api.execute(f"alter database {name} set deadlock_timeout = '2s'")
    importing = Api(make_engine(books_url, "importing"))
    importing.get("/clients/")  # connected
    api.execute(f"alter database {name} reset deadlock_timeout")
    lines = as_csv([{"phone": BORIS["phone"], "tag": "new"}, {"phone": ANNA["phone"], "tag": "old"}])
    with ThreadPoolExecutor(1) as pool, api.engine.begin() as connection:
        connection.execute(text("set local role none; set local deadlock_timeout = '25s'"))
        connection.execute(text("select 1 from clients for update"))
        answer = pool.submit(take, importing, lines)
        waiting = (
            "select count(*) from pg_stat_activity where application_name = 'importing' and wait_event_type = 'Lock'"
        )
        while not api.execute(waiting):
            assert not answer.done()
        connection.execute(text(f"update clients set phone = {BORIS['phone']}"))
        connection.commit()
        assert counts(answer.result(60)) == (1, 1, 0)
    importing.engine.dispose()
    assert {phone: client["tag"] for phone, client in stored(api).items()} == {
        BORIS["phone"]: "new",
        ANNA["phone"]: "old",
    }


def test_to_be_long_in_line_behind_other_imports_breaks_none(api: Api, books_url: str) -> None:
    importing = Api(make_engine(books_url, "importing", statement_timeout=0.5))
    tries = set()
    with ThreadPoolExecutor(1) as pool, api.engine.begin() as connection:
        connection.execute(text(f"select pg_advisory_xact_lock({staging.LOCK})"))
        answer = pool.submit(take, importing, as_csv([ANNA]))
        while len(tries) < 3:
            assert not answer.done()
            tries.add(api.execute(f"select min(xact_start) {_IN_LINE}"))
            tries.discard(None)
        connection.commit()
        assert counts(answer.result(60)) == (1, 0, 0)
    importing.engine.dispose()
    assert list(stored(api)) == [ANNA["phone"]]


_IN_LINE = "from pg_stat_activity where application_name = 'importing' and wait_event = 'advisory'"

ANY_PHONE = st.sampled_from([f"7912000000{number}" for number in range(6)])
ANY_VALUE = {
    "operator_code": st.sampled_from(["912", "926", "91", "x"]),
    "tag": st.sampled_from(["", "vip", "a,b", 'a"b', "a\nb", "t" * 65, "tab\t", "\\N"]),
    "timezone": st.sampled_from(["UTC", "Europe/Moscow", "Mars"]),
}
ANY_LINE = st.fixed_dictionaries({"phone": ANY_PHONE | st.just("8")}, optional=ANY_VALUE)
ANY_RAW = st.sampled_from([b"{", b"[]", b"\xff", b"a,b,c,d,e", b"1", b'"\xff",,,'])


@settings(max_examples=30)
@given(lines=st.lists(ANY_LINE | ANY_RAW, max_size=30), at_once=st.integers(1, 12), form=st.sampled_from([CSV, NDJSON]))
def test_any_file_does_what_its_lines_do_one_by_one(
    books_engine: Engine, lines: list[Any], at_once: int, form: str
) -> None:
    """In batches of any size: the same clients, the same counts, the same lines refused, and again the second time."""
    _empty(books_engine)
    api = Api(books_engine, default_timezone="Asia/Omsk")
    parts = [line if isinstance(line, bytes) else _as_line(line, form) for line in lines]
    head = as_csv([]) if form == CSV else b""
    expected: dict[str, dict[str, str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "LINES", at_once)
        for _ in range(2):
            if not head + b"".join(parts):
                assert send(api, b"", form).status == 422
                continue
            created, updated, refused = _one_by_one(expected, lines, form)
            answer = take(api, head + b"\n".join(parts), form)
            assert counts(answer) == (created, updated, len(refused))
            assert [error["line"] for error in answer["errors"]] == _numbers(parts, refused, bool(head))
            assert stored(api) == expected


def _as_line(client: dict[str, str], form: str) -> bytes:
    data = as_csv([client]).partition(b"\n")[2] if form == CSV else as_ndjson([client])
    return data.removesuffix(b"\n")


def _one_by_one(clients: dict[str, dict[str, str]], lines: list[Any], form: str) -> tuple[int, int, list[int]]:
    """Clients created and updated, and the places of what is refused."""
    created = updated = 0
    refused = []
    for place, line in enumerate(lines):
        valid = not isinstance(line, bytes) and (
            line["phone"] != "8"
            and line.get("operator_code", "912") in ("912", "926")
            and len(line.get("tag", "")) <= 64
            and line.get("timezone", "UTC") != "Mars"
        )
        if not valid:
            refused.append(place)
            continue
        given = {name: value for name, value in line.items() if value or form == NDJSON}  # an empty cell says nothing
        phone = given["phone"]
        created, updated = (created, updated + 1) if phone in clients else (created + 1, updated)
        usual = {"phone": phone, "operator_code": "912", "tag": "", "timezone": "Asia/Omsk"}
        clients[phone] = {**clients.get(phone, usual), **given}
        clients[phone]["tag"] = clients[phone]["tag"].strip()
    return created, updated, refused


def _numbers(parts: list[bytes], places: list[int], head: bool) -> list[int]:
    """The lines on which these parts begin."""
    before = [1 + head]
    for part in parts:
        before.append(before[-1] + part.count(b"\n") + 1)
    return [before[place] for place in places]
