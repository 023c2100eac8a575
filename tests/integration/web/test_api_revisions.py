"""A change is made to what whoever asks has seen: `revision`, `ETag`, `If-Match`."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from tests.support.api import Answer, Api, Json, mailing, running

THINGS = [
    ("/clients/", {"phone": "79123456789"}, {"tag": "vip"}),
    ("/segments/", {"name": "All", "filter": {}}, {"name": "Everybody"}),
    ("/mailings/", mailing(), {"text": "Other"}),
]


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine)


def tagged(api: Api, method: str, path: str, tag: str, body: Json = None) -> Answer:
    return api(method, path, body, headers={"If-Match": tag})


@pytest.mark.parametrize(("path", "body", "change"), THINGS)
def test_a_revision_counts_the_changes_of_what_users_can_set(api: Api, path: str, body: Json, change: Json) -> None:
    made = api("POST", path, body)
    path += f"{made.json['id']}/"
    assert (made.headers["ETag"], made.json["revision"]) == ('"1"', 1)
    changed = api("PATCH", path, change)
    assert (changed.headers["ETag"], changed.json["revision"]) == ('"2"', 2)
    assert api("PATCH", path, change).json["revision"] == 2, "nothing is changed"
    assert api("PUT", path, body).json["revision"] == 3
    if "mailings" in path:
        for action in ("pause", "resume", "cancel"):
            assert api("POST", f"{path}{action}/").json["revision"] == 3
    found = api("GET", path, headers={"If-None-Match": '"3"'})
    assert (found.status, found.headers["ETag"]) == (200, '"3"')


@pytest.mark.parametrize(("path", "body", "change"), THINGS)
def test_a_change_of_something_else_than_was_seen_is_refused(api: Api, path: str, body: Json, change: Json) -> None:
    path += f"{api.make(path, body)['id']}/"
    seen = api("GET", path).headers["ETag"]
    assert tagged(api, "PATCH", path, seen, change).status == 200
    before = api.contents()
    for method, sent in (("PATCH", {}), ("PUT", body), ("DELETE", None)):
        answer = tagged(api, method, path, seen, sent)
        assert (answer.status, answer.json["type"], answer.headers["ETag"]) == (412, "changed", '"2"')
    assert api.contents() == before
    assert tagged(api, "DELETE", path, '"2"').status == 204
    assert tagged(api, "DELETE", path, "*").status == 404


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ("*", 200),
        (" * ", 200),
        ('"7", "1"', 200),
        ('"7","8" ,"1"', 200),
        ('"7"', 412),
        ('W/"1"', 412),
        ('"01"', 412),
        ('""', 412),
        ("1", 422),
        ("", 422),
        ('"1', 422),
        ('"1" "2"', 422),
        ("*, *", 422),
        ("'1'", 422),
        ('"1", x', 422),
        ('w/"1"', 422),
    ],
)
def test_what_a_condition_may_look_like(api: Api, tag: str, status: int) -> None:
    path = f"/clients/{api.make('/clients/', {'phone': '79123456789'})['id']}/"
    answer = tagged(api, "PATCH", path, tag, {"tag": "vip"})
    assert answer.status == status
    if status == 422:
        assert answer.json["errors"].keys() == {"headers"}
    assert api.get(path)["tag"] == ("vip" if status == 200 else "")


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [*((path, body, next(iter(change))) for path, body, change in THINGS), ("/mailings/", running(), "reference")],
    ids=["a client", "a segment", "a mailing", "one that is running"],
)
def test_of_two_changes_at_once_one_is_made(api: Api, path: str, body: Json, name: str) -> None:
    """Both have seen the same. Somebody holds the row until both wait for it."""
    one = f"{path}{api.make(path, body)['id']}/"
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"

    def send(value: str) -> int:
        return tagged(api, "PATCH", one, '"1"', {name: value}).status

    with ThreadPoolExecutor(2) as pool, api.engine.begin() as connection:
        connection.execute(text(f"select 1 from {path.strip('/')} for update"))
        answers = [pool.submit(send, value) for value in ("a", "b")]
        while api.execute(waiting) < 2:
            assert not any(answer.done() for answer in answers)
        connection.commit()
        assert sorted(answer.result(30) for answer in answers) == [200, 412]
    assert api.get(one)["revision"] == 2


def test_an_import_counts_as_well(api: Api) -> None:
    path = f"/clients/{api.make('/clients/', {'phone': '79123456789'})['id']}/"
    for _ in range(2):  # the second time nothing is changed
        api("POST", "/clients/import/", data=b"phone,tag\n79123456789,vip\n", content_type="text/csv")
        assert api.get(path)["revision"] == 2


REFERENCED = [("/clients/", {"phone": "79123456789"}, {"phone": "79123456780"}), ("/mailings/", mailing(), mailing())]


@pytest.mark.parametrize(("path", "first", "second"), REFERENCED)
def test_no_two_share_a_reference(api: Api, path: str, first: Json, second: Json) -> None:
    one = api.make(path, first | {"reference": "crm-1"})
    assert one["reference"] == "crm-1"
    answer = api("POST", path, second | {"reference": "crm-1"})
    assert (answer.status, answer.json["type"], answer.at_fault) == (409, "taken", {"reference"})
    other = f"{path}{api.make(path, second)['id']}/"
    assert api("PATCH", other, {"reference": "crm-1"}).status == 409
    assert api("PATCH", other, {"reference": "crm-2"}).json["reference"] == "crm-2"
    assert api("PUT", other, second).json["reference"] is None
    assert api("DELETE", f"{path}{one['id']}/").status == 204
    assert api("PATCH", other, {"reference": "crm-1"}).status == 200


@pytest.mark.parametrize("reference", ["", "r" * 65, "a\0b", 5, ["a"]])
def test_references_that_are_none(api: Api, reference: object) -> None:
    answer = api("POST", "/clients/", {"phone": "79123456789", "reference": reference})
    assert (answer.status, answer.at_fault) == (422, {"reference"})
