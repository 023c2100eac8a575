"""Lists: what they are filtered by, and how one walks them while others change what is in them."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.mailings.store import in_state
from shared.database.models import Mailing
from shared.domain.mailing import MailingState, mailing_state
from tests.support.api import Answer, Api, mailing, running
from tests.support.books import Books

PEOPLE = [
    {"phone": "79120000001", "tag": "vip", "timezone": "Europe/Moscow", "reference": "a"},
    {"phone": "79260000002", "tag": "vip", "timezone": "Asia/Omsk", "reference": "b"},
    {"phone": "79260000003", "tag": "", "timezone": "Asia/Omsk"},
]


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("phone=79260000002", [2]),
        ("phone=79990000000", []),
        ("tag=vip", [1, 2]),
        ("tag=", [3]),
        ("tag=v%25", []),
        ("tag=v*", []),
        ("operator_code=926", [2, 3]),
        ("timezone=Asia/Omsk&tag=vip", [2]),
        ("reference=a", [1]),
        ("phone=79260000002&tag=", []),
    ],
)
def test_clients_are_filtered(api: Api, query: str, found: list[int]) -> None:
    for one in PEOPLE:
        api.make("/clients/", one)
    answer = api("GET", f"/clients/?{query}")
    assert ([one["id"] for one in answer.json], answer.total) == (found, len(found))
    assert [one["id"] for one in api.get(f"/clients/?after_id=0&{query}")] == found


KNOWN_OF = [
    {"city": "Омск", "visits": 3, "is_member": True, "Ко\u0439": "Ко\u0439"},
    {"city": "Омск", "visits": "3", "is_member": "true"},
    {"city": "Тула", "visits": 3.5, "a.b": "x"},
    {},
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"attribute.city={quote('Омск')}", [1, 2]),
        (f"attribute.city=%20{quote('Омск')}%C2%A0", [1, 2]),
        (f"attribute.city={quote('омск')}", []),
        (f"attribute.{quote('Кои')}%CC%86={quote('Ко')}%D0%B9", [1]),
        ("attribute.visits=3", [1, 2]),
        ("attribute.visits=3.0", [1]),
        ("attribute.visits=3.5", [3]),
        ("attribute.is_member=true", [1, 2]),
        ("attribute.is_member=True", []),
        ("attribute.visits=3&attribute.is_member=true&tag=vip", [1, 2]),
        ("attribute.a.b=x", [3]),
        ("attribute.%3Cname%3E=x", []),
        ("attribute.city=%25", []),
        ("attribute.nobody=%7B%7D", []),
        ("attribute.visits=NaN", []),
        (f"attribute.visits={'9' * 400}", []),
    ],
)
def test_clients_are_filtered_by_attributes(api: Api, query: str, found: list[int]) -> None:
    for number, attributes in enumerate(KNOWN_OF):
        api.make("/clients/", {"phone": f"7912000000{number}", "tag": "vip", "attributes": attributes})
    answer = api("GET", f"/clients/?{query}")
    assert ([one["id"] for one in answer.json], answer.total) == (found, len(found))
    assert [one["id"] for one in api.get(f"/clients/?after_id=0&{query}")] == found
    assert api("GET", f"/clients/?format=ndjson&{query}").body.count(b"\n") == len(found)


def test_a_walk_through_those_of_an_attribute_goes_on(api: Api) -> None:
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000000{number}", "attributes": {"a b": "ü&"}})
    answer = api("GET", f"/clients/?after_id=0&page_size=2&attribute.a%20b={quote('ü&')}")
    address = re.fullmatch('<(.*)>; rel="next"', answer.headers["Link"])
    assert address
    assert [one["id"] for one in api.get(address[1])] == [3]


def test_the_name_of_an_import_is_kept_and_looked_for_as_tags_are(api: Api) -> None:
    for name, status in (("%20Ко%D0%B8%CC%86%C2%A0", 200), ("%E2%A0%80", 422), ("%CC%81", 422)):
        answer = api("POST", f"/clients/import/?name={name}", data=b"phone\n79120000001\n", content_type="text/csv")
        assert answer.status == status
    assert [one["name"] for one in api.get("/clients/imports/?name=Ко%D0%B9%20")] == ["Ко\u0439"]


LONG = "t" * 10_000
"""Over HTTP such an address is 414 already: `test_api_server.py`."""


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *(("clients", query) for query in ("phone=+79260000002", "phone=", "phone=a%00", "phone=7912*", "tag=%00")),
        *(("clients", query) for query in (f"tag={'t' * 65}", f"tag={LONG}", f"phone={LONG}", "timezone=Mars")),
        *(
            ("clients", query)
            for query in ("attribute.=a", "attribute.a=", "attribute.a=%E2%A0%80", "attribute.a%00=b")
        ),
        *(("clients", query) for query in (f"attribute.{'n' * 65}=a", "attribute.a=b%00", "attribute.%CC%81=a")),
        *(("clients", query) for query in ("operator_code=9%25", "operator_code=9__", "reference=%00", "reference=")),
        *(
            ("mailings", query)
            for query in ("reference=%00", f"reference={LONG}", "state=%25", "state=", f"state={LONG}")
        ),
        *(("audit", query) for query in ("by=%00", f"by={LONG}", "action=", f"thing={LONG}", "thing_id=%00")),
    ],
)
def test_filters_that_make_no_sense(api: Api, path: str, query: str) -> None:
    answer = api("GET", f"/{path}/?{query}")
    assert (answer.status, answer.at_fault) == (422, {unquote(query.partition("=")[0])})


@pytest.mark.parametrize("query", ["by=%25", "by=any*", "action=creat_", "thing=.*", "thing_id='1' or 1=1"])
def test_nothing_in_a_filter_stands_for_something_else(api: Api, query: str) -> None:
    api.make("/clients/", PEOPLE[0])
    assert api.get(f"/audit/?{query}") == []


def test_the_state_of_a_mailing_is_the_same_to_the_database(api: Api) -> None:
    facts = product(("past", "future"), ("past", "future"), *[(None, "past")] * 4)
    moments = {None: "null", "past": "now() - interval '1 h'", "future": "now() + interval '1 h'"}
    for starts, ends, paused, cancelled, finished, draft in facts:
        start = f"least({moments[starts]}, {moments[ends]} - interval '1 min')"
        aside = ("past", "past", "true") if draft else (paused, None, "false")
        marks = {**moments, "true": "true", "false": "false"}
        values = ", ".join([start, *(marks[one] for one in (ends, cancelled, finished, *aside))])
        api.execute(
            "insert into mailings (text, starts_at, ends_at, cancelled_at, finished_at, paused_at, closed_at, draft)"
            f" values ('x', {values})"
        )
    api.execute("insert into mailings (text, draft, paused_at, closed_at) values ('x', true, now(), now())")
    with Session(api.engine) as session:
        now = session.scalar(select(Mailing.created_at).limit(1))
        assert now is not None
        everybody = session.scalars(select(Mailing)).all()
        assert {mailing_state(one, now) for one in everybody} == set(MailingState)
        for state in MailingState:
            found = {one.id for one in session.scalars(select(Mailing).where(in_state(state)))}
            assert found == {one.id for one in everybody if mailing_state(one, now) is state}, state


def test_mailings_are_filtered(api: Api) -> None:
    scheduled = api.make("/mailings/", mailing(reference="spring", name="Весна 50%_ rebate"))["id"]
    going = api.make("/mailings/", running())["id"]
    api("DELETE", f"/mailings/{api.make('/mailings/', running())['id']}/")
    for query, found in (
        ("state=running", [going]),
        ("state=scheduled", [scheduled]),
        ("reference=spring", [scheduled]),
        ("name=весна", [scheduled]),
        ("name=ВЕСНА 50%25_", [scheduled]),
    ):
        answer = api("GET", f"/mailings/?{query}")
        assert ([one["id"] for one in answer.json], answer.total) == (found, 1)
    for nobody in ("name=50", "name=_есна", "name=%25", "name=весна 5_%25"):  # nothing stands for something else
        assert api.get(f"/mailings/?{nobody}") == []
    assert api("GET", "/mailings/?state=gone").status == 422


def walk(api: Api, path: str, size: int) -> Iterator[Answer]:
    answer = api("GET", f"{path}?after_id=0&page_size={size}")
    yield answer
    while "Link" in answer.headers:
        (path,) = re.findall(r'^<([^>]+)>; rel="next"$', answer.headers["Link"])
        answer = api("GET", path)
        assert answer.json
        yield answer


def test_a_walk_sees_each_once_whatever_is_deleted(api: Api) -> None:
    """By number, as many are skipped as were deleted on pages that are read already."""
    ids = [api.make("/clients/", {"phone": f"7912000{number:04}"})["id"] for number in range(25)]
    seen: list[int] = []
    for answer in walk(api, "/clients/", 10):
        assert "X-Pagination" not in answer.headers
        seen += [one["id"] for one in answer.json]
        for one in answer.json[:7]:  # the next page begins behind one that is gone
            api("DELETE", f"/clients/{one['id']}/")
        api("DELETE", f"/clients/{answer.json[-1]['id']}/")
    assert seen == ids


@pytest.mark.parametrize(
    "path", ["/segments/", "/mailings/", "/mailings/general_statistics/", "/mailings/1/detail_statistics/"]
)
def test_every_list_can_be_walked(api: Api, path: str) -> None:
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000{number:04}"})
        api.make("/segments/", {"name": "All", "filter": {}})
        api.make("/mailings/", running())
    api.launch(1)
    key = {"/mailings/general_statistics/": "mailings", "/mailings/1/detail_statistics/": "messages"}.get(path)
    parts: list[Any] = [answer.json if key is None else answer.json[key] for answer in walk(api, path, 2)]
    assert [len(part) for part in parts] == [2, 1]
    assert [one.get("id") or one["mailing_id"] for part in parts for one in part] == [1, 2, 3]


def test_imports_are_walked_from_the_newest(api: Api) -> None:
    for _ in range(3):
        api("POST", "/clients/import/?name=a", data=b"phone\n79123456789\n", content_type="text/csv")
    whole = api("GET", "/clients/imports/?after_id=0&name=a").json
    assert [one["id"] for one in whole] == sorted((one["id"] for one in whole), reverse=True)
    assert len(whole) > 1, "0 is the beginning here, too"
    first = api("GET", "/clients/imports/?after_id=3&name=a&page_size=1")
    assert [one["id"] for one in first.json] == [2]
    assert first.headers["Link"] == '</clients/imports/?after_id=2&name=a&page_size=1>; rel="next"'


def test_filters_and_prefix_stay_in_the_link(api: Api) -> None:
    tag = "a&b=ü"
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000{number:04}", "tag": tag})
    answer = api(
        "GET", f"/clients/?after_id=0&page_size=1&tag={quote(tag)}", environ_overrides={"SCRIPT_NAME": "/notify"}
    )
    assert answer.headers["Link"].startswith(f"</notify/clients/?after_id=1&page_size=1&tag={quote(tag)}>;")


@pytest.mark.parametrize(
    ("query", "at_fault"),
    [
        ("page=1&after_id=0", {"after_id"}),
        ("after_id=-1", {"after_id"}),
        ("after_id=", {"after_id"}),
        ("after_id=x", {"after_id"}),
        (f"after_id={2**63}", {"after_id"}),
        ("after_id=0&page_size=0", {"page_size"}),
        ("page=1_0", {"page"}),
        ("page=%D9%A1", {"page"}),
        ("page=%2B1", {"page"}),
        ("page_size=1_0&after_id=%D9%A1", {"page_size", "after_id"}),
    ],
)
def test_walks_that_make_no_sense(api: Api, query: str, at_fault: set[str]) -> None:
    answer = api("GET", f"/clients/?{query}")
    assert (answer.status, answer.at_fault) == (422, at_fault)


def test_behind_the_end_there_is_nothing(api: Api) -> None:
    api.make("/clients/", PEOPLE[0])
    for last in (1, 99, 2**63 - 1):
        answer = api("GET", f"/clients/?after_id={last}")
        assert (answer.json, "Link" in answer.headers) == ([], False)
