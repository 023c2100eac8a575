"""Error answers say what they are: a type of a closed list, each with a page; and what is not known is refused."""

import pytest
from sqlalchemy import Engine

from api_service.web.problems import TYPES
from tests.support.api import Api, mailing

PHONE = {"phone": "79123456789"}


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine)


def test_the_document_lists_the_types_and_each_has_a_page(api: Api) -> None:
    listed = api.document()["components"]["schemas"]["ErrorType"]["enum"]
    assert sorted(listed) == sorted(TYPES)
    index = api("GET", "/docs/errors/").body.decode()
    locked = Api(api.engine, auth=True)
    for slug, kind in TYPES.items():
        assert f'href="{slug}/"' in index
        page = locked("GET", f"/docs/errors/{slug}/")  # which needs no key
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert str(int(kind.status)) in page.body.decode()
    assert api("GET", "/docs/errors/nonsense/").status == 404


def test_each_is_told_by_its_type(api: Api) -> None:
    api.make("/clients/", PHONE)
    told = {
        "not-found": api("GET", "/clients/99/"),
        "method": api("PUT", "/clients/", PHONE),
        "taken": api("POST", "/clients/", PHONE),
        "invalid": api("POST", "/clients/", {}),
        "not-json": api("POST", "/clients/", data=b"{", content_type="application/json"),
        "media-type": api("POST", "/clients/", data=b"{}", content_type="text/plain"),
        "too-large": api("POST", "/clients/", data=b"1" * 70_000, content_type="application/json"),
        "other-site": api("GET", "/clients/", headers={"Host": "elsewhere.example"}),
        "unauthorized": Api(api.engine, auth=True)("GET", "/clients/"),
    }
    assert {kind: answer.json["type"] for kind, answer in told.items()} == {kind: kind for kind in told}


def test_a_refusal_says_what_would_help(api: Api) -> None:
    path = f"/mailings/{api.make('/mailings/', mailing(starts_at='2026-01-01T00:00:00Z'))['id']}/"
    frozen = api("PATCH", path, {"text": "Other", "ends_at": "2099-01-01T00:00:00Z"})
    assert (frozen.status, frozen.json["type"]) == (409, "frozen")
    assert frozen.json["errors"] == {
        "json": {"text": ["Is frozen since the launch; the mailing is running: cancel it and create another one."]}
    }
    api("POST", f"{path}cancel/")
    late = api("POST", f"{path}pause/")
    assert (late.status, late.json["type"]) == (409, "too-late")


ATTRIBUTES = {"attribute.a", "attributes.a", "Attribute.a", "attribute"}
QUERIES = [
    ("GET", "/clients/?pagesize=1", {"pagesize"}),
    ("GET", "/clients/?page=1&Page=2", {"Page"}),
    ("GET", "/clients/?page=1&page=2", {"page"}),
    ("GET", "/clients/?attribute.a=1&attribute.a=2&attributes.a=1&Attribute.a=1&attribute=a", ATTRIBUTES),
    ("GET", "/mailings/?status=sent", {"status"}),
    ("GET", "/mailings/general_statistics/?x=", {"x"}),
    ("GET", "/mailings/1/detail_statistics/?state=sent&a%00b=1", {"state", "a\0b"}),
    ("GET", "/mailings/1/?fields=id", {"fields"}),
    ("GET", "/keys/?name=a", {"name"}),
    ("POST", "/clients/?dry_run=true", {"dry_run"}),
    ("POST", "/mailings/1/cancel/?now", {"now"}),
    ("POST", "/clients/import/?columns=all", {"columns"}),
    ("DELETE", "/mailings/1/?force=1", {"force"}),
]


@pytest.mark.parametrize(("method", "path", "at_fault"), QUERIES)
def test_query_parameters_that_are_not_known(api: Api, method: str, path: str, at_fault: set[str]) -> None:
    api.make("/mailings/", mailing())
    before = api.contents()
    answer = api(method, path, **({"json": PHONE} if method == "POST" else {}))
    assert (answer.status, answer.json["type"], answer.at_fault) == (422, "invalid", at_fault)
    assert answer.json["errors"].keys() == {"query"}
    assert api.contents() == before


def test_not_where_others_may_add_some(api: Api) -> None:
    for path in ("/docs/?a=1", "/health/live?a=1", "/openapi.json?a=1"):
        assert api("GET", path).status == 200, path


@pytest.mark.parametrize("auth", [True, False])
def test_the_documents_lead_to_themselves_without_a_key(engine: Engine, auth: bool) -> None:
    api = Api(engine, auth=auth)
    for path in ("/docs", "/docs/errors", "/docs/errors/not-found"):
        answer = api("GET", path)
        assert (answer.status, answer.headers["Location"]) == (308, f"{path}/"), path
    behind = api("GET", "/docs", environ_overrides={"SCRIPT_NAME": "/notify"})
    assert behind.headers["Location"] == "/notify/docs/"
