"""All lines of a file that were refused, as a file; and a rehearsal, which says the same and stores nothing."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from api_service.directory import batch, refused_lines
from api_service.directory.files.lines import ClientFile, Column, Line, Refused, Row
from shared.audit import Actor
from tests.support.api import Answer, Api
from tests.support.books import Books


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def send(api: Api, data: bytes, query: str = "", content_type: str = "text/csv") -> Any:
    answer = api("POST", f"/clients/import/{query}", data=data, content_type=content_type)
    assert answer.status == 200, answer.body
    return answer.json


def store(api: Api, *lines: Line, columns: tuple[str, ...] = ("phone", "tag"), separator: str = ",") -> int:
    """The id of an import of what a reader of files may have found."""
    importer = api.app.extensions["importer"]
    named = tuple(Column(name, name) for name in columns)
    file = ClientFile(iter(lines), columns=named, separator=separator)
    import_id = importer.begin("", file, Actor("anybody"))
    importer.take(import_id, file)
    return int(import_id)


def refused(api: Api, import_id: int) -> Answer:
    return api("GET", f"/clients/imports/{import_id}/refused/")


def rows(answer: Answer, separator: str = ",") -> list[list[str]]:
    """As a program that calculates reads them."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    text = answer.body.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


TWO_FAULTS = {"phone": ["Must be a phone."], "tag": ["Is long.", "Is bad."]}


def test_every_refused_line_is_there_with_its_reason_its_value_and_its_cells(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LINES", 70)
    lines: list[Line] = [
        Refused(line, TWO_FAULTS, f"+7 {line}", (f"+7 {line}", "a,b"))
        if line % 2
        else Row(line, f"7912{line:07}")
        for line in range(2, 502)
    ]  # fmt: skip
    import_id = store(api, *lines, Refused(502, {"_schema": ["Is not CSV."]}, 'a "b'))
    answer = refused(api, import_id)
    head, *found = rows(answer)
    assert head == ["line", "reason", "value", "phone", "tag"]
    reason = "phone: Must be a phone. tag: Is long. tag: Is bad."
    assert found == [
        *([str(line), reason, f"'+7 {line}", f"'+7 {line}", "a,b"] for line in range(3, 502, 2)),
        ["502", "Is not CSV.", 'a "b'],
    ]
    assert answer.body.startswith(b"\xef\xbb\xbf")
    assert f'filename="refused-{import_id}.csv"' in answer.headers["Content-Disposition"]
    shown = api.get(f"/clients/imports/{import_id}/")
    assert (shown["refused"], len(shown["errors"]), shown["errors"][0]["value"]) == (251, 100, "+7 3")


def test_a_person_mends_the_file_and_sends_it_again(api: Api) -> None:
    """The columns that say what was wrong are nothing then."""
    lines = [f"x7912{number:07};друг;Омск" if number % 2 else f"7912{number:07};;" for number in range(500)]
    sent = "\r\n".join(["Телефон;Тег;Город", *lines]).encode("cp1251")
    answer = send(api, sent, content_type="text/csv; charset=windows-1251")
    assert (answer["created"], answer["refused"]) == (250, 250)
    file = refused(api, answer["id"])
    head, *found = rows(file, ";")
    assert head == ["line", "reason", "value", "Телефон", "Тег", "Город"]
    assert [row[:1] + row[2:] for row in found] == [
        [str(number + 2), *lines[number].split(";")[:1], *lines[number].split(";")] for number in range(1, 500, 2)
    ]
    again = send(api, file.body.replace(b";x7912", b";7912"))
    assert (again["created"], again["refused"]) == (250, 0)
    assert [column["taken_as"] for column in again["columns"]] == [None, None, None, "phone", "tag", "attributes.Город"]
    [mended] = api.get("/clients/?phone=79120000001")
    assert (mended["tag"], mended["attributes"]) == ("друг", {"Город": "Омск"})


def test_the_lines_of_a_client_who_has_no_room_have_their_cells(api: Api) -> None:
    """As they were taken, since it is known only when all of them are stored."""
    api.make("/clients/", {"phone": "79120000001", "attributes": {f"a{one}": one for one in range(49)}})
    lines = [
        "phone,Tag,Town,Pet,,Colour",
        "+79120000001, vip ,Omsk,cat,,",
        "79120000001,,,,,red",
        "79120000002,,,,,red",
    ]
    answer = send(api, "\n".join(lines).encode())
    assert (answer["created"], answer["refused"]) == (1, 2)
    reason = "attributes: Has more than 50 attributes."
    assert rows(refused(api, answer["id"]))[1:] == [
        ["2", reason, "79120000001", "79120000001", "vip", "Omsk", "cat", "", ""],
        ["3", reason, "79120000001", "79120000001", "", "", "", "", "red"],
    ]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_it_has_the_separator_of_the_file(api: Api, separator: str) -> None:
    import_id = store(api, Refused(2, {"_schema": ["No; no,\tno"]}, "", ("a;b", "c\td")), separator=separator)
    assert rows(refused(api, import_id), separator)[1:] == [["2", "No; no,\tno", "", "a;b", "c\td"]]


@pytest.mark.parametrize("cell", ["=1+1", "+7 912", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(api: Api, cell: str) -> None:
    import_id = store(api, Refused(2, {cell: [cell]}, cell, (cell,)), columns=(cell,))
    for row in rows(refused(api, import_id)):
        assert all(one[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n") for one in row)
        assert any(one == f"'{cell}" for one in row)


ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=20)


@settings(max_examples=20)
@given(cells=st.lists(ANY_TEXT, max_size=5), value=ANY_TEXT, name=ANY_TEXT, header=ANY_TEXT)
def test_anything_can_stand_in_a_file(
    books_engine: Engine, cells: list[str], value: str, name: str, header: str
) -> None:
    """NUL and halves of characters, too, which no database holds."""
    api = Api(books_engine)
    import_id = store(api, Refused(2, {name: ["Is wrong."]}, value, tuple(cells)), columns=(header,))
    [_, row] = rows(refused(api, import_id))
    assert len(row) == 3 + len(cells)
    shown = api.get(f"/clients/imports/{import_id}/")
    assert (len(shown["errors"]), len(shown["columns"])) == (1, 1)


def test_there_are_none_of_a_file_without_and_of_an_import_that_is_not(api: Api) -> None:
    assert rows(refused(api, store(api, Row(2, "79120000001")))) == [["line", "reason", "value", "phone", "tag"]]
    assert refused(api, 99).status == 404


def test_they_are_kept_for_a_week(api: Api, books: Books) -> None:
    import_id = store(api, Refused(2, {"phone": ["Is wrong."]}, "8", ("8",)))
    books.run("delete from refused_lines")
    answer = refused(api, import_id)
    assert (answer.status, "7 days" in answer.json["message"]) == (404, True)
    assert api.get(f"/clients/imports/{import_id}/")["errors"][0]["value"] == "8"


def test_of_too_many_the_first_ones_are_kept_and_the_others_counted(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LINES", 10)
    monkeypatch.setattr(refused_lines, "MAX_KEPT", 25 * 1100)
    import_id = store(api, *(Refused(line, {"phone": ["Is wrong."]}, "", ("x" * 1000,)) for line in range(2, 102)))
    *found, last = rows(refused(api, import_id))
    assert [row[0] for row in found[1:]] == [str(line) for line in range(2, 22)]
    assert last == ["", "80 more lines were refused, and are not kept."]
    assert api.get(f"/clients/imports/{import_id}/")["refused"] == 100
    assert books.run("select count(*) as number from refused_lines")[0].number == 2


def test_long_lines_are_no_long_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is as many lines as fit into a mebibyte, where they are long: taken or refused."""
    some = ("x" * 4000,)
    long: list[Line] = [Refused(line, {}, "", some) for line in range(1000)]
    long += [Row(line, f"7912{line:07}", attributes={"a": some[0]}) for line in range(1000)]
    monkeypatch.setattr(batch, "LINGER", 1e9)
    sizes = [one.lines for one in batch.batches(long)]
    assert sum(sizes) == 2000
    assert max(sizes) * 4000 <= batch.CHARACTERS + 4000


# ---------------------------------------------------------------- what is said of the others


def test_what_was_normalised_and_what_was_emptied(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LINES", 40)
    lines = (
        Row(line, f"7912{line:07}", is_normalised=line % 2 == 0, emptied=("tag", "\0city") if line % 3 == 0 else ())
        for line in range(300)
    )
    shown = api.get(f"/clients/imports/{store(api, *lines, columns=('Телефон',), separator=';')}/")
    assert (shown["normalised"], shown["emptied"], len(shown["emptied_values"])) == (150, 200, 100)
    assert shown["emptied_values"][:3] == [
        {"line": 0, "header": "tag"}, {"line": 0, "header": "?city"}, {"line": 3, "header": "tag"},
    ]  # fmt: skip
    assert (shown["columns"], shown["separator"]) == ([{"header": "Телефон", "taken_as": "Телефон"}], ";")


# ---------------------------------------------------------------- a rehearsal


FILE = b"phone,tag\n79120000001,a\n8,\n79120000002,b\n79120000001,c\n79120000003,\n79120000002,\n"


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_a_rehearsal_says_what_an_import_would_and_stores_nothing(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(batch, "LINES", at_once)
    api.make("/clients/", {"phone": "79120000003"})
    before = [books.run(f"select * from {table}") for table in STORED]
    ids = books.run("select last_value from clients_id_seq")
    rehearsed = send(api, FILE, "?dry_run=true&name=spring")
    assert [books.run(f"select * from {table}") for table in STORED] == before
    assert books.run("select last_value from clients_id_seq") == ids
    assert api.get("/clients/imports/") == []
    assert rehearsed["id"] is None
    taken = send(api, FILE, "?dry_run=false&name=spring")
    for name in ("id", "started_at", "ended_at"):
        del rehearsed[name], taken[name]
    assert rehearsed == taken
    assert (taken["created"], taken["updated"], taken["refused"]) == (2, 3, 1)


STORED = ("clients", "imports", "import_clients", "refused_lines", "audit")


def test_a_rehearsal_sees_who_has_no_room_left(api: Api) -> None:
    api.make("/clients/", {"phone": "79120000001", "attributes": {f"a{one}": one for one in range(50)}})
    lines = [{"phone": "79120000001", "attributes": {"b": 1}}, {"phone": "79120000002", "attributes": {"b": 1}}]
    data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    for query in ("?dry_run=true", ""):
        answer = send(api, data, query, "application/x-ndjson")
        assert (answer["created"], answer["updated"], answer["refused"]) == (1, 0, 1)


@pytest.mark.parametrize("query", ["?dry_run=yes", "?dry_run=", "?dry_run=1", "?rehearse=true"])
def test_what_is_no_rehearsal(api: Api, query: str) -> None:
    answer = api("POST", f"/clients/import/{query}", data=FILE, content_type="text/csv")
    assert answer.status == 422
    assert api.get("/clients/") == []
