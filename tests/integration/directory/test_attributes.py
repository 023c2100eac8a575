"""What is known of a client beside phone, tag and time zone: given over HTTP and in files."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.directory import store
from shared.database.models import Client
from shared.domain.attributes import MAX_NUMBER
from tests.support.api import Api
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_fixture",)

PHONE = "79123456789"


def make(api: Api, **attributes: Any) -> Any:
    return api.make("/clients/", {"phone": PHONE, "attributes": attributes})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({" city\u00a0": "  Омск\u200b "}, {"city": "Омск"}),
        ({"\u0418\u0306": "\u0438\u0306"}, {"\u0419": "\u0439"}),  # two signs that are one letter
        ({"a b": "x  y", "A B": "z"}, {"a b": "x  y", "A B": "z"}),
        ({"drop table clients; --": "' or 1=1", "__class__": "{{ 7*7 }}", "%s": "\\"}, ...),
        ({"n" * 64: "v" * 1000}, ...),
        ({str(number): number for number in range(50)}, ...),
        ({"max": MAX_NUMBER, "min": -MAX_NUMBER, "tiny": 5e-324, "half": 0.5, "yes": True, "no": False, "0": 0}, ...),
    ],
)
def test_what_is_kept_of_them(api: Api, given: Any, kept: Any) -> None:
    made = make(api, **given)
    assert made["attributes"] == (given if kept is ... else kept)
    assert api.get(f"/clients/{made['id']}/") == made
    assert api("PUT", f"/clients/{made['id']}/", made).json == made  # and nothing has changed


@pytest.mark.parametrize(
    ("given", "at_fault"),
    [
        (None, ()),
        ([], ()),
        ("city", ()),
        ({str(number): number for number in range(51)}, ()),
        ({"": 1}, ("",)),
        ({" \u200b": 1}, (" \u200b",)),
        ({"n" * 65: 1}, ("n" * 64,)),
        ({"a\0b": 1}, ("a\0b",)),
        ({"\ud800": 1}, ("\ud800",)),
        ({"city": "a\0"}, ("city",)),
        ({"city": ""}, ("city",)),
        ({"city": " \u00a0\u200b"}, ("city",)),
        ({"city": "v" * 1001}, ("city",)),
        ({"city": None, "ok": 1}, ("city",)),
        ({"city": {"name": "Omsk"}}, ("city",)),
        ({"city": ["Omsk"]}, ("city",)),
        ({"city": MAX_NUMBER + 1}, ("city",)),
        ({"city": 10**400}, ("city",)),
        ({"city": -1e300}, ("city",)),
        ({"city": 1, " city": 2}, (" city",)),
        ({"\u0439": 1, "\u0438\u0306": 2}, ("\u0438\u0306",)),
    ],
)
def test_what_is_refused(api: Api, given: Any, at_fault: tuple[str, ...]) -> None:
    client = make(api, city="Omsk")
    path = f"/clients/{client['id']}/"
    requests = (
        ("POST", "/clients/", {"phone": "79000000000", "attributes": given}),
        ("PUT", path, {"phone": PHONE, "attributes": given}),
        ("PATCH", path, {"attributes": given}),
    )
    for method, where, body in requests:
        answer = api(method, where, body)
        assert answer.status == 422
        faults = answer.json["errors"]["json"]["attributes"]
        assert tuple(faults) == at_fault if at_fault else isinstance(faults, list)
    assert api.get("/clients/") == [client]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "1" * 5000])
def test_a_number_that_is_none(api: Api, number: str) -> None:
    data = f'{{"phone": "{PHONE}", "attributes": {{"a": {number}}}}}'
    assert api("POST", "/clients/", data=data, content_type="application/json").status in (400, 422)


def test_what_a_megabyte_of_them_costs(api: Api) -> None:
    assert api("POST", "/clients/", {"phone": PHONE, "attributes": {"a": "v" * 2**20}}).status == 413


def test_they_are_given_whole_and_one_of_another_type_is_another(api: Api) -> None:
    path = f"/clients/{make(api, a=1, b='x')['id']}/"
    steps: list[tuple[Any, int]] = [
        ({"a": 1}, 2), ({"a": True}, 3), ({"a": True}, 3), ({"a": "true"}, 4), ({"a": 0}, 5), ({"a": False}, 6),
        ({}, 7), ({}, 7),
    ]  # fmt: skip
    for attributes, revision in steps:
        answer = api("PATCH", path, {"attributes": attributes})
        assert (answer.json["attributes"], answer.json["revision"]) == (attributes, revision)
        assert answer.headers["ETag"] == api("GET", path).headers["ETag"]
        assert json.dumps(api.get(path)["attributes"]) == json.dumps(attributes)
    seen = api("GET", path).headers["ETag"]
    api("PATCH", path, {"attributes": {"a": 5}})
    assert api("PATCH", path, {"attributes": {"b": 5}}, headers={"If-Match": seen}).status == 412
    assert api.get(path)["attributes"] == {"a": 5}


def test_the_audit_names_them_and_says_nothing_of_them(api: Api) -> None:
    path = f"/clients/{make(api, city='Omsk')['id']}/"
    api("PATCH", path, {"attributes": {"city": "Perm"}})
    changed = api.get("/audit/?thing=client")[-1]
    assert (changed["members"], changed["before"], changed["after"]) == (["attributes"], None, None)
    assert api.execute("select count(*) from audit a where a::text ~ 'Omsk|Perm|city'") == 0


LINES = [
    {"phone": PHONE, "attributes": {"city": "Omsk", "visits": 3}},
    {"phone": PHONE, "attributes": {"visits": 4}, "tag": "vip"},
    {"phone": PHONE},
]


def test_a_file_adds_to_them_and_takes_none_away(api: Api) -> None:
    make(api, city="Perm", height=180)
    answer = send(api, LINES)
    assert (answer["updated"], answer["refused"]) == (3, 0)
    [client] = api.get("/clients/")
    assert client["attributes"] == {"city": "Omsk", "visits": 4, "height": 180}
    assert (client["tag"], client["revision"]) == ("vip", 2)
    assert send(api, LINES)["updated"] == 3
    assert api.get("/clients/") == [client]  # nothing has changed
    send(api, [{"phone": PHONE, "attributes": {"visits": True}}])
    assert api.get("/clients/")[0]["attributes"] == client["attributes"] | {"visits": True}


def test_there_is_room_for_fifty_whoever_gives_them(api: Api) -> None:
    """A line that would leave more is refused, with all others about this client that come with it."""
    many = {f"a{number}": number for number in range(49)}
    others = [{"phone": "79000000000", "attributes": {"new": 1}}, {"phone": PHONE, "tag": "late"}]
    make(api, **many)
    answer = send(api, [{"phone": PHONE, "attributes": {"b": 1, "c": 2}}, *others])
    assert (answer["created"], answer["updated"], answer["refused"]) == (1, 0, 2)
    assert [(error["line"], error["value"]) for error in answer["errors"]] == [(1, PHONE), (3, PHONE)]
    assert "50" in answer["errors"][0]["errors"]["attributes"][0]
    client = api.get(f"/clients/?phone={PHONE}")[0]
    assert (client["attributes"], client["tag"], client["revision"]) == (many, "", 1)
    assert api.execute("select sum(cardinality(clients)) from import_clients") == 1  # whom it took
    assert send(api, [{"phone": PHONE, "attributes": {"b": 1, "a0": 7}}])["updated"] == 1
    assert api.get(f"/clients/?phone={PHONE}")[0]["attributes"] == many | {"b": 1, "a0": 7}


def test_who_is_given_others_while_a_file_waits_for_them_has_no_more_than_fifty(api: Api) -> None:
    """They have those, as if the line had come first; what else the line says is taken."""
    make(api, city="Perm")
    others = {f"a{number}": number for number in range(50)}
    with ThreadPoolExecutor(1) as pool, Session(api.engine) as session:
        client = session.scalars(select(Client).with_for_update()).one()
        answer = pool.submit(send, api, [{"phone": PHONE, "tag": "vip", "attributes": {"visits": 4}}])
        wait_until(lambda: answer.done() or api.execute(WAITING))
        assert not answer.done()
        store.change(session, client, {"attributes": others}, "")
        session.commit()
        assert (answer.result()["updated"], answer.result()["refused"]) == (1, 0)
    [found] = api.get("/clients/")
    assert (found["attributes"], found["tag"], found["revision"]) == (others, "vip", 3)


WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def test_what_is_wrong_with_one_in_a_file_is_said_by_its_name(api: Api) -> None:
    answer = send(api, [{"phone": PHONE, "attributes": {"city": None, "a\0b": {}, "ok": 1}}])
    assert answer["errors"][0]["errors"] == {
        "attributes.city": ["Must be a string, a number, true or false."],
        "attributes.a?b": ["Must not contain NUL characters or unpaired surrogates."],
    }


def test_lines_of_one_file_have_room_for_fifty_together(api: Api) -> None:
    lines = [{"phone": PHONE, "attributes": {f"a{line}-{one}": 1 for one in range(20)}} for line in range(3)]
    answer = send(api, lines)
    assert (answer["created"], answer["updated"], answer["refused"]) == (1, 1, 1)
    assert len(api.get("/clients/")[0]["attributes"]) == 40


def send(api: Api, lines: list[Any]) -> Any:
    data = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer = api("POST", "/clients/import/", data=data, content_type="application/x-ndjson")
    assert answer.status == 200, answer.body
    return answer.json
