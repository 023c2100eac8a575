"""Who changed what: each change leaves a line in the transaction that made it, and nobody alters it."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from api_service.access import actions
from api_service.web.key import Scope
from api_service.web.work import Work
from shared.audit import Actor, Change, write
from tests.support.api import EVERYONE, HOUR, Api, Json, from_now, mailing, running

PHONE = "79123456789"


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine)


def lines(api: Api, query: str = "") -> list[Json]:
    found: list[Json] = api.get(f"/audit/?page_size=100{query}")
    return found


def test_a_client_leaves_their_id_and_no_values(api: Api) -> None:
    made = api(
        "POST", "/clients/", {"phone": PHONE, "tag": "secret", "reference": "crm-7"}, headers={"X-Request-ID": "r1"}
    )
    path = f"/clients/{made.json['id']}/"
    api("PATCH", path, {"phone": "79000000000", "timezone": "Asia/Omsk"})
    api("DELETE", path)
    told = [(one["action"], one["thing"], one["thing_id"], one["members"], one["by"]) for one in lines(api)]
    assert told == [
        ("create", "client", "1", [], "anybody"),
        ("change", "client", "1", ["phone", "timezone"], "anybody"),
        ("delete", "client", "1", [], "anybody"),
    ]
    assert lines(api)[0]["request_id"] == "r1"
    for value in (PHONE, "79000000000", "secret", "crm-7", "Omsk"):
        assert value not in json.dumps(lines(api))


def test_a_mailing_leaves_the_values_before_and_after(api: Api) -> None:
    until = "2090-01-31T09:00:00+00:00"
    path = f"/mailings/{api.make('/mailings/', mailing(text='Hello', reference='crm-7'))['id']}/"
    api("PATCH", path, {"ends_at": "2090-01-31T12:00:00+03:00", "filter": {"tags": ["vip"]}, "text": "Hello"})
    for action in ("pause", "pause", "resume", "cancel"):
        api("POST", f"{path}{action}/")
    api("DELETE", path)
    created, changed, *rest = lines(api)
    assert (created["action"], created["before"], created["after"]["text"]) == ("create", None, "Hello")
    assert changed["members"] == ["ends_at", "filter"]
    assert changed["after"] == {"ends_at": until, "filter": EVERYONE | {"tags": ["vip"]}}
    assert changed["before"] == {name: created["after"][name] for name in changed["members"]}
    assert [one["action"] for one in rest] == ["pause", "resume", "cancel", "delete"]
    assert "crm-7" not in json.dumps(lines(api))


def test_what_changed_nothing_leaves_nothing(api: Api) -> None:
    body = running()
    path = f"/mailings/{api.make('/mailings/', body)['id']}/"
    client = f"/clients/{api.make('/clients/', {'phone': PHONE})['id']}/"
    api("PATCH", path, {"text": "Frozen"})
    api("PUT", path, body)
    api("PATCH", path, {"ends_at": from_now(-HOUR)})
    api("POST", f"{path}resume/")
    api("PATCH", client, {"tag": ""})
    api("PATCH", client, {"tag": "a"}, headers={"If-Match": '"9"'})
    api("POST", "/clients/", {"phone": PHONE})
    assert [one["action"] for one in lines(api)] == ["create", "create"]


def test_an_import_is_one_line(api: Api) -> None:
    api("POST", "/clients/import/", data=b"phone\n79123456789\n79123456780\nx\n", content_type="text/csv")
    (one,) = lines(api)
    assert (one["action"], one["thing"], one["thing_id"]) == ("import", "clients", "1")
    assert one["after"] == {"lines": 3, "created": 2, "updated": 0, "refused": 1, "failure": None}


def test_keys_of_the_command_and_by_whom(engine: Engine) -> None:
    work = Work(engine, Actor("command"))
    admin = actions.create(work, "ops", Scope.ADMIN, None)
    writer = actions.create(work, "shop", Scope.WRITE, None)
    reader = actions.create(work, "look", Scope.READ, None)
    api = Api(engine, auth=True)
    as_admin = {"headers": {"Authorization": f"Bearer {admin}"}}
    assert api("DELETE", f"/keys/{writer.id}/", **as_admin).status == 204
    assert api("DELETE", f"/keys/{writer.id}/", **as_admin).status == 204
    told = api("GET", "/audit/?thing=key", **as_admin).json
    assert [(one["by"], one["action"], one["thing_id"]) for one in told] == [
        ("command", "create", admin.id),
        ("command", "create", writer.id),
        ("command", "create", reader.id),
        (f"key {admin.id}", "revoke", writer.id),
    ]
    assert admin.secret not in json.dumps(told)
    assert api("GET", "/audit/", headers={"Authorization": f"Bearer {reader}"}).status == 403


def test_it_is_walked_and_filtered(api: Api) -> None:
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000000{number}"})
    api("PATCH", "/clients/2/", {"tag": "a"})
    assert [one["action"] for one in lines(api, "&thing=client&thing_id=2")] == ["create", "change"]
    assert [one["thing_id"] for one in lines(api, "&action=create&by=anybody")] == ["1", "2", "3"]
    first = api("GET", "/audit/?page_size=3")
    assert first.headers["Link"] == '</audit/?page_size=3&after_id=3>; rel="next"'
    assert [one["id"] for one in api.get("/audit/?page_size=3&after_id=3")] == [4]
    assert api("GET", "/audit/?page=1").status == 422


@pytest.mark.parametrize("statement", ["update audit set by = 'x'", "delete from audit", "truncate audit"])
def test_nobody_alters_it(api: Api, statement: str) -> None:
    api.make("/clients/", {"phone": PHONE})
    with pytest.raises(DBAPIError), api.engine.begin() as connection:
        connection.execute(text(statement))
    assert len(lines(api)) == 1


def told(connection: Connection, by: str) -> None:
    write(connection, Actor(by), [Change("create", "client", 1)])


def test_nobody_passes_by_a_line_that_is_committed_later(api: Api) -> None:
    """The first is given its id first, and is seen last. Until it is, who asks for what is new gets nothing."""
    told_before = api.make("/clients/", {"phone": PHONE})
    with api.engine.connect() as first, api.engine.connect() as second, api.engine.connect() as third:
        for connection in (third, second, first):  # in an order that is not that of their ids
            connection.execute(text("select pg_current_xact_id()"))
        told(first, "first")
        told(second, "second")
        second.commit()
        assert [one["thing_id"] for one in lines(api)] == [str(told_before["id"])]
        told(third, "third")
        first.commit()
        assert [one["by"] for one in lines(api, "&after_id=1")] == ["first", "second"]
        third.rollback()
        api("DELETE", "/clients/1/")
        assert [one["by"] for one in lines(api, "&after_id=1")] == ["first", "second", "anybody"]


def test_whoever_keeps_asking_gets_every_line_once(api: Api) -> None:
    """While others write who commit in any order."""
    seen: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            with api.engine.connect() as connection:
                told(connection, "anybody")
                connection.execute(text("select pg_sleep(:some)"), {"some": chance.choice((0, 0, 0.02))})
                (connection.rollback if chance.random() < 0.2 else connection.commit)()

    def look() -> None:
        seen.extend(one["id"] for one in lines(api, f"&after_id={seen[-1] if seen else 0}"))

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(work, seed) for seed in range(4)]
        while not all(one.done() for one in writers):
            look()
    look()
    with api.engine.connect() as connection:
        assert seen == connection.scalars(text("select id from audit order by id")).all()
    assert len(seen) > 50


def test_without_its_line_there_is_no_change(api: Api) -> None:
    """Both are one transaction, the one-statement creation of a client included."""
    path = f"/mailings/{api.make('/mailings/', mailing())['id']}/"
    api.execute("alter table audit add constraint never check (id < 2) not valid")
    before = api.contents()
    for method, target, body in (
        ("POST", "/clients/", {"phone": PHONE}),
        ("POST", f"{path}pause/", None),
        ("PATCH", path, {"text": "Other"}),
        ("DELETE", path, None),
    ):
        assert api(method, target, body).status == 500
    assert api.contents() == before
