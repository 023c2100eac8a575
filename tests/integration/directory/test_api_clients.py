"""The directory of clients, over HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api import Answer, Api, running

pytest_plugins = ("tests.support.api_fixture",)

ANNA: dict[str, Any] = {
    "phone": "79123456789",
    "operator_code": "926",
    "tag": "vip",
    "timezone": "Europe/Moscow",
    "attributes": {"city": "Омск", "visits": 3, "rating": 4.5, "is_member": True},
}


def test_a_client_is_stored_as_it_was_sent(api: Api) -> None:
    made = api.make("/clients/", ANNA)
    assert made == {"id": made["id"], **ANNA, "reference": None, "revision": 1}
    assert api.get(f"/clients/{made['id']}/") == made
    assert api.get("/clients/") == [made]


def test_what_is_left_out_gets_its_default(engine: Any) -> None:
    api = Api(engine, default_timezone="Asia/Omsk")
    made = api.make("/clients/", {"phone": "79123456789"})
    assert made == {
        "id": made["id"],
        "phone": "79123456789",
        "operator_code": "912",
        "tag": "",
        "timezone": "Asia/Omsk",
        "attributes": {},
        "reference": None,
        "revision": 1,
    }


def test_put_replaces_everything(api: Api) -> None:
    path = f"/clients/{api.make('/clients/', ANNA)['id']}/"
    replaced = api("PUT", path, {"phone": "79260000000"})
    assert replaced.status == 200
    assert replaced.json | {"id": 0} == {
        "id": 0,
        "phone": "79260000000",
        "operator_code": "926",
        "tag": "",
        "timezone": "UTC",
        "attributes": {},
        "reference": None,
        "revision": 2,
    }
    assert api.get(path) == replaced.json


def test_patch_changes_only_what_is_given(api: Api) -> None:
    made = api.make("/clients/", ANNA)
    path = f"/clients/{made['id']}/"
    assert api("PATCH", path, {}).json == made
    changed = api("PATCH", path, {"phone": "79990000000", "tag": ""})
    assert (changed.status, changed.json) == (
        200,
        made | {"phone": "79990000000", "tag": "", "revision": 2},
    )  # the code stays 926
    assert api.get(path) == changed.json


def test_a_phone_belongs_to_one_client(api: Api) -> None:
    api.make("/clients/", ANNA)
    other = api.make("/clients/", {"phone": "79000000000"})
    before = api.contents()
    path = f"/clients/{other['id']}/"
    for answer in (
        api("POST", "/clients/", {"phone": ANNA["phone"]}),
        api("PUT", path, ANNA),
        api("PATCH", path, {"tag": "new", "phone": ANNA["phone"]}),
    ):
        assert (answer.status, answer.at_fault) == (409, {"phone"})
    assert api.contents() == before
    assert api("PUT", path, {"phone": other["phone"], "tag": "new"}).status == 200  # its own phone is no conflict


def test_of_many_requests_with_the_same_phone_one_wins(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api("POST", "/clients/", ANNA), range(16)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 15
    assert len(api.get("/clients/")) == 1


def test_lists_come_in_pages(api: Api) -> None:
    ids = [api.make("/clients/", {"phone": f"7912000000{number}"})["id"] for number in range(5)]
    pages = [api("GET", f"/clients/?page={page}&page_size=2") for page in (1, 2, 3, 4)]
    assert [[client["id"] for client in page.json] for page in pages] == [ids[:2], ids[2:4], ids[4:], []]
    assert [page.total for page in pages] == [5, 5, 5, 5]
    assert '"next_page": 3' in pages[1].headers["X-Pagination"]
    assert '"next_page"' not in pages[2].headers["X-Pagination"]


def test_a_deleted_client_is_gone(api: Api) -> None:
    path = f"/clients/{api.make('/clients/', ANNA)['id']}/"
    assert (api("DELETE", path).status, api("DELETE", path).status) == (204, 404)
    assert [api(method, path, {"phone": "79000000000"}).status for method in ("PUT", "PATCH")] == [404, 404]
    assert (api("GET", path).status, api.get("/clients/")) == (404, [])
    assert api.make("/clients/", ANNA)["phone"] == ANNA["phone"]


def test_deleting_a_client_cancels_what_is_not_sent_yet(api: Api) -> None:
    anna, boris = (api.make("/clients/", {"phone": phone})["id"] for phone in ("79120000001", "79120000002"))
    mailings = [api.make("/mailings/", running())["id"] for _ in range(3)]
    for mailing in mailings:
        assert api.launch(mailing) == 2
    # To one of them he has been sent already, in another he is being sent just now.
    with_state = "update messages set status = :status, due_at = {} where mailing_id = :mailing and client_id = :client"
    _move(api, with_state.format("null"), "sent", mailings[0], anna)
    _move(api, with_state.format("now() + interval '1 min'"), "sending", mailings[1], anna)

    assert api("DELETE", f"/clients/{anna}/").status == 204

    states = {
        (message["client_id"], mailing): message["status"]
        for mailing in mailings
        for message in api.get(f"/mailings/{mailing}/detail_statistics/")["messages"]
    }
    assert [states[anna, mailing] for mailing in mailings] == ["sent", "sending", "cancelled"]
    assert [states[boris, mailing] for mailing in mailings] == ["pending"] * 3
    figures = api.get(f"/mailings/{mailings[2]}/")["statistics"]
    assert (figures["audience"], figures["pending"], figures["cancelled"]) == (2, 1, 1)
    api.assert_balanced()


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_waits_for_a_client_goes_to_their_new_phone(api: Api, method: str) -> None:
    anna = api.make("/clients/", ANNA)["id"]
    waiting, called = (api.make("/mailings/", running())["id"] for _ in range(2))
    assert [api.launch(mailing) for mailing in (waiting, called)] == [1, 1]
    api.execute("update messages set calls = 1 where mailing_id = :mailing", mailing=called)
    assert api(method, f"/clients/{anna}/", ANNA | {"phone": "79990000000"}).status == 200
    phone = "select phone from messages where mailing_id = :mailing"
    assert [api.execute(phone, mailing=mailing) for mailing in (waiting, called)] == [79990000000, int(ANNA["phone"])]


def _move(api: Api, sql: str, status: str, mailing: int, client: int) -> None:
    api.execute(sql, status=status, mailing=mailing, client=client)
    api.execute(
        f"update mailing_counters set pending = pending - 1, {status} = {status} + 1 where mailing_id = :mailing",
        mailing=mailing,
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_changing_and_deleting_at_the_same_time(api: Api, method: str) -> None:
    path = f"/clients/{api.make('/clients/', ANNA)['id']}/"

    def change(_: int) -> Answer:
        return api(method, path, ANNA if method != "DELETE" else None)

    attempts: list[Callable[[int], Answer]] = [change, lambda _: api("DELETE", path)] * 8
    with ThreadPoolExecutor(8) as pool:
        statuses = {answer.status for answer in pool.map(lambda attempt: attempt(0), attempts)}
    assert statuses <= {200, 204, 404}
    assert api("GET", path).status == 404


@pytest.mark.parametrize(
    "client_id", ["0", "-1", "1.0", "abc", "01", "9223372036854775808", "9" * 30, "9" * 4000, "\u0661"]
)
@pytest.mark.parametrize("path", ["/clients/{}/", "/mailings/{}/", "/mailings/{}/detail_statistics/"])
def test_an_id_that_none_can_have_is_not_found(api: Api, path: str, client_id: str) -> None:
    assert api("GET", path.format(client_id)).status == 404


def test_the_largest_id_is_not_found_either(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = api(method, "/clients/9223372036854775807/")
        assert (answer.status, answer.json["message"]) == (404, "There is no client 9223372036854775807.")
