"""PUT takes what GET gave: members that users cannot set are ignored, but not another id."""

import pytest

from tests.support.api import Api, mailing
from tests.support.books import Books

THINGS = [
    ("/clients/", {"phone": "79123456789", "tag": "vip", "attributes": {"city": "Омск", "one": 1.0}}),
    ("/segments/", {"name": "Locals", "filter": {"attributes": {"city": ["Омск", 1.0, 1]}, "exclude": {"tags": [""]}}}),
    ("/mailings/", mailing(filter={"tags": ["vip"]})),
]


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


@pytest.mark.parametrize(("path", "body"), THINGS)
def test_what_get_gave_can_be_put_back(api: Api, path: str, body: dict[str, object]) -> None:
    made = api.make(path, body)
    found = api.get(f"{path}{made['id']}/")
    answer = api("PUT", f"{path}{made['id']}/", found)
    assert (answer.status, answer.json.keys()) == (200, made.keys())
    assert found | answer.json == found


@pytest.mark.parametrize("other", [2, 0, "1", True, None, [1]])
@pytest.mark.parametrize(("path", "body"), THINGS)
def test_not_under_another_id(api: Api, path: str, body: dict[str, object], other: object) -> None:
    made = api.make(path, body)
    answer = api("PUT", f"{path}{made['id']}/", {**made, "id": other})
    assert (answer.status, answer.at_fault) == (422, {"id"})


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("path", "body"), THINGS)
def test_the_others_refuse_them(api: Api, path: str, body: dict[str, object], method: str) -> None:
    made = api.make(path, body)
    answer = api(method, path if method == "POST" else f"{path}{made['id']}/", made)
    written = {"/clients/": "NewClient", "/segments/": "NewSegment", "/mailings/": "NewMailing"}[path]
    settable = api.document()["components"]["schemas"][written]["properties"].keys()
    settable -= {"draft"} if method == "PATCH" else set()  # which is set once
    assert (answer.status, answer.at_fault) == (422, made.keys() - settable)
    assert answer.at_fault >= {"id", "revision"}
