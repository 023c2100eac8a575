"""The directory as a file: whole, safe to open in a spreadsheet, and taken back unchanged by an import."""

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from api_service.directory import export as clients_export
from api_service.web import export
from api_service.web.key import Scope
from api_service.web.problems import Unauthorized
from shared import clock
from shared.domain.text.shown import BEGINS_FORMULA
from tests.support.api import HOUR, Answer, Api
from tests.support.locked_server import bearer, make_key

pytest_plugins = ("tests.support.api_fixture",)

TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
KEPT = "select phone, operator_code, tag, timezone, attributes, revision from clients order by phone"


def add(api: Api, *clients: dict[str, Any]) -> None:
    for number, client in enumerate(clients, 1):
        api.make("/clients/", {"phone": f"7916{number:07}", **client})


def stored(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get("/clients/?page_size=100")
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def exported(api: Api, form: str, query: str = "") -> Answer:
    answer = api("GET", f"/clients/?format={form}{query}")
    assert answer.status == 200, answer.body
    return answer


def imported(api: Api, form: str, body: bytes) -> Any:
    answer = api("POST", "/clients/import/", data=body, content_type=TYPES[form])
    assert answer.status == 200, answer.body
    return answer.json


# ---------------------------------------------------------------- what it is


def test_it_is_a_table_that_begins_with_its_columns(api: Api) -> None:
    add(api, {"tag": "vip", "timezone": "Asia/Omsk", "attributes": {"city": "Омск", "visits": 3, "old": True}}, {})
    answer = exported(api, "csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="clients.csv"'
    text = answer.body.decode()
    assert text.startswith("\ufeff")
    assert text.endswith("\r\n")
    header, *rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert header == ["operator_code", "tag", "timezone", "attributes", "phone"]
    assert [row[:3] + row[4:] for row in rows] == [
        ["916", "vip", "Asia/Omsk", "79160000001"],
        ["916", "", "UTC", "79160000002"],
    ]
    assert (json.loads(rows[0][3]), rows[1][3]) == ({"city": "Омск", "visits": 3, "old": True}, "")


def test_it_is_an_object_a_line_or_one_array(api: Api) -> None:
    assert [exported(api, form).body for form in ("ndjson", "json")] == [b"", b"[]\n"]
    add(api, {"tag": "a\nb"}, {"attributes": {"n": 0.5}})
    lines = [json.loads(line) for line in exported(api, "ndjson").body.splitlines()]
    assert exported(api, "json").json == api.get("/clients/")
    assert lines[1] == {
        "operator_code": "916",
        "tag": "",
        "timezone": "UTC",
        "attributes": {"n": 0.5},
        "phone": "79160000002",
    }


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
    ],
)
def test_accept_asks_for_it_as_well(api: Api, accept: str, content_type: str) -> None:
    add(api, {})
    answer = api("GET", "/clients/", headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert ("X-Pagination" in answer.headers) == (content_type == "application/json")


@pytest.mark.parametrize("query", ["page=1", "page_size=5", "after_id=0"])
def test_a_file_has_no_pages(api: Api, query: str) -> None:
    for answer in (
        api("GET", f"/clients/?format=csv&{query}"),
        api("GET", f"/clients/?{query}", headers={"Accept": "text/csv"}),
    ):
        assert (answer.status, answer.at_fault) == (422, {query.partition("=")[0]})
    assert api("GET", "/clients/?format=xlsx").status == 422


def test_it_has_those_who_match_and_all_of_them(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS", 3)
    add(api, *({"tag": "odd" if number % 2 else "even"} for number in range(10)))
    for form in TYPES:
        assert len(exported(api, form).body.splitlines()) == 10 + (form == "csv")
        assert len(exported(api, form, "&tag=odd").body.splitlines()) == 5 + (form == "csv")
    assert [one["phone"] for one in exported(api, "json").json] == [f"7916{number:07}" for number in range(1, 11)]
    assert exported(api, "json", "&tag=odd&phone=79160000001").json == []


def test_only_so_many_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, {})
    exports = api.app.extensions["exports"]
    places = [exports.enter() for _ in range(export.AT_A_TIME)]
    answer = api("GET", "/clients/?format=csv")
    assert (answer.status, answer.json["type"], answer.headers["Retry-After"]) == (429, "too-many-exports", "30")
    for leave in places:
        leave()
        leave()  # however often
    for _ in range(2 * export.AT_A_TIME):
        assert exported(api, "csv").status == 200
        assert api("HEAD", "/clients/?format=csv").status == 200
    # A page that cannot be read is an error, and costs no place.
    monkeypatch.setattr(clients_export, "_LINES", text("1 / (count(*) - count(*))"))
    for _ in range(2 * export.AT_A_TIME):
        assert api("GET", "/clients/?format=csv").status == 500
    monkeypatch.undo()
    assert exported(api, "csv").status == 200


def test_it_has_a_share_of_its_key_and_ends_with_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    api, begun, ticks = Api(engine, auth=True, threads=2), clock.now(), clock.ticks()
    token = make_key(engine, Scope.READ, begun + HOUR)
    api.execute("insert into clients (phone, operator_code, timezone) select 79160000000 + n, '916', 'UTC'"
                " from generate_series(1, 9) n")  # fmt: skip
    monkeypatch.setattr(export, "ROWS", 1)
    answer = api.app.test_client().get("/clients/?format=csv", headers=bearer(token))
    pieces = answer.iter_encoded()
    assert next(pieces)
    assert api("GET", "/clients/", headers=bearer(token)).status == 429  # one thread is half of them
    monkeypatch.setattr(clock, "now", lambda: begun + HOUR)
    monkeypatch.setattr(clock, "ticks", lambda: ticks + HOUR.total_seconds())
    api.app.extensions["watch"].look()
    with pytest.raises(Unauthorized):
        list(pieces)
    answer.close()
    monkeypatch.undo()
    assert api("GET", "/clients/", headers=bearer(token)).status == 200


# ---------------------------------------------------------------- there and back

_SIGNS = "=+-@'\"\t\n\r;,|{}\\ a1Ю\u00a0\u2028\u0301"
_WORDS = st.text(st.sampled_from(_SIGNS) | st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(
    -1e15, 1e15, allow_nan=False, allow_infinity=False, allow_subnormal=False
).filter(lambda number: number == 0 or math.fabs(number) > 1e-15)
_ATTRIBUTES = st.dictionaries(_WORDS, _WORDS | _NUMBERS | st.booleans(), max_size=4)
_CLIENTS = st.fixed_dictionaries(
    {"tag": _WORDS},
    optional={
        "operator_code": st.sampled_from(["000", "912"]),
        "timezone": st.sampled_from(["Asia/Omsk", "Etc/GMT+10", "UTC"]),
        "attributes": _ATTRIBUTES,
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_CLIENTS, min_size=1, max_size=4), st.sampled_from(["csv", "ndjson"]))
def test_what_was_exported_comes_back_unchanged(api: Api, clients: list[dict[str, Any]], form: str) -> None:
    api.execute("truncate clients")
    for number, client in enumerate(clients, 1):
        api("POST", "/clients/", {"phone": f"7916{number:07}", **client})  # what the API refuses is not there
    before, body = stored(api), exported(api, form).body
    if form == "csv":
        for row in csv.reader(io.StringIO(body.decode().removeprefix("\ufeff"), newline="")):
            assert not any(cell.startswith(BEGINS_FORMULA) for cell in row)
    if before:
        answer = imported(api, form, body)  # onto themselves: nobody is touched
        assert (answer["created"], answer["updated"], answer["refused"]) == (0, len(before), 0), answer
        assert stored(api) == before
        api.execute("truncate clients")
        answer = imported(api, form, body)
        assert (answer["created"], answer["refused"]) == (len(before), 0), answer
        assert stored(api) == [client | {"revision": 1} for client in before]


@pytest.mark.parametrize("tag", ["'=1", "''=1", "'a", "=1", "-", "'", "''", "'@"])
def test_apostrophes_are_neither_lost_nor_added(api: Api, tag: str) -> None:
    add(api, {"tag": tag})
    body = exported(api, "csv").body
    api.execute("truncate clients")
    imported(api, "csv", body)
    assert [one["tag"] for one in stored(api)] == [tag]


@pytest.mark.parametrize("form", TYPES)
def test_one_that_is_cut_off_anywhere_gives_nobody_half_of_what_was_known(api: Api, form: str) -> None:
    attributes = {"city": "Омск", "quote": 'a"b', "visits": 3, "lines": "a\nb"}
    add(api, {"tag": "vip, old", "timezone": "Etc/GMT+10", "attributes": attributes, "operator_code": "912"})
    add_one = {"phone": "79160000002", "tag": "=1", "timezone": "Asia/Omsk"}
    api.make("/clients/", add_one)
    whole, body = stored(api), exported(api, form).body
    api.execute("truncate clients")
    for end in range(len(body)):
        answer = api("POST", "/clients/import/", data=body[:end], content_type=TYPES[form])
        assert answer.status in (200, 415, 422), end
        if answer.status == 200 and answer.json["created"]:
            assert all(one in whole for one in stored(api)), (end, body[:end])
            api.execute("truncate clients")


def test_a_column_of_all_attributes_is_as_strict_as_a_request(api: Api) -> None:
    cells = {
        "[]": "Must be a JSON object.",
        '"{""a"": {}}"': "a: Must be a string",
        "{": "Must be a JSON object.",
        "": "",
    }
    lines = [f"7916000000{number},{cell}" for number, cell in enumerate(cells)]
    answer = imported(api, "csv", "\n".join(["phone,attributes", *lines]).encode())
    assert {"header": "attributes", "taken_as": "attributes"} in answer["columns"]
    told = {error["line"]: error["errors"]["attributes"][0] for error in answer["errors"]}
    assert (sorted(told), answer["created"]) == ([2, 3, 4], 1)
    for (cell, sentence), line in zip(cells.items(), range(2, 6), strict=True):
        assert sentence in told.get(line, ""), cell
    more = imported(api, "csv", b'phone,attributes,city\n79160000005,"{""city"": ""A"", ""n"": 1}",B\n')
    assert more["created"] == 1
    assert stored(api)[-1]["attributes"] == {"city": "B", "n": 1}
