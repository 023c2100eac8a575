"""The OpenAPI document says everything about every operation, and its page needs nobody else's server."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.support.api import Api

pytest_plugins = ("tests.support.api_fixture",)

EXPECTED = {
    "/providers/": {"get"},
    "/providers/{name}/": {"get", "patch"},
    "/clients/": {"get", "post"},
    "/clients/import/": {"post"},
    "/clients/imports/": {"get"},
    "/clients/imports/{import_id}/": {"get"},
    "/clients/imports/{import_id}/refused/": {"get"},
    "/clients/{client_id}/": {"get", "put", "patch", "delete"},
    "/segments/": {"get", "post"},
    "/segments/{segment_id}/": {"get", "put", "patch", "delete"},
    "/suppressions/": {"get", "post"},
    "/suppressions/import/": {"post"},
    "/suppressions/imports/": {"get"},
    "/suppressions/imports/{file_id}/": {"get"},
    "/suppressions/imports/{file_id}/refused/": {"get"},
    "/suppressions/{suppression_id}/": {"delete"},
    "/mailings/": {"get", "post"},
    "/mailings/{mailing_id}/": {"get", "put", "patch", "delete"},
    "/mailings/{mailing_id}/start/": {"post"},
    "/mailings/{mailing_id}/clone/": {"post"},
    "/mailings/{mailing_id}/retry/": {"post"},
    "/mailings/{mailing_id}/preview/": {"get"},
    "/mailings/preflight/": {"post"},
    "/mailings/{mailing_id}/preflight/": {"get"},
    "/mailings/{mailing_id}/pause/": {"post"},
    "/mailings/{mailing_id}/resume/": {"post"},
    "/mailings/{mailing_id}/cancel/": {"post"},
    "/mailings/{mailing_id}/test/": {"get", "post"},
    "/mailings/{mailing_id}/breakdown/": {"get"},
    "/mailings/{mailing_id}/clients/{client_id}/": {"get"},
    "/clients/{client_id}/messages/": {"get"},
    "/receipts/{provider}/": {"get", "post"},
    "/messages/": {"get"},
    "/messages/{message_id}/": {"get"},
    "/mailings/general_statistics/": {"get"},
    "/mailings/{mailing_id}/detail_statistics/": {"get"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
    "/audit/": {"get"},
    "/keys/": {"get"},
    "/keys/{key_id}/": {"delete"},
}


ERROR_PAGES = {f"/docs/errors{rest}" for rest in ("", "/", "/<slug>", "/<slug>/")}


@pytest.fixture
def document(api: Api) -> Any:
    answer = api("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.json


@pytest.fixture
def locked_document(engine: Engine) -> Any:
    """Of a service that opens to keys alone."""
    return Api(engine, auth=True)("GET", "/openapi.json").json


def test_whoever_asks_first_at_the_same_time_is_told_the_same(document: Any, engine: Engine) -> None:
    """It is made when it is asked for."""
    fresh = Api(engine).app
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: fresh.test_client().get("/openapi.json"), range(8)))
    assert [answer.json == document for answer in answers] == [True] * 8


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield f"{method} {path}", operation


def resolved(document: Any, node: Any) -> Any:
    for part in node.get("$ref", "").split("/")[1:]:
        document = document[part]
    return document if "$ref" in node else node


def examples(content: Any) -> list[Any]:
    return [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]


def test_it_holds_every_operation_and_no_other(document: Any, api: Api) -> None:
    found = {path: methods.keys() - {"parameters"} for path, methods in document["paths"].items()}
    assert found == EXPECTED
    served = {
        re.sub(r"<(?:(?:id|key|provider):)?(\w+_id|name|provider)>", r"{\1}", rule.rule) for rule in _rules(api.app)
    }
    served.discard("/receipts/{provider}/<path:secret>")  # which the document does not tell
    assert served == EXPECTED.keys() | {"/", "/openapi.json", "/docs/", "/docs/<path:path>"} | ERROR_PAGES | {"/docs"}


def _rules(app: Flask) -> Iterator[Any]:
    """Without the console, which is for people."""
    return (rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("console."))


def test_every_operation_is_explained(document: Any) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    names = []
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["summary"].splitlines()) == 1, name
        assert operation["description"].endswith("."), name
        assert set(operation["tags"]) <= tags, name
        names.append(operation["operationId"])
    assert len(set(names)) == len(names)


def test_it_says_what_attributes_may_be_called(document: Any) -> None:
    for name in ("NewClient", "ClientChanges", "ClientReplacement", "Client"):
        names = document["components"]["schemas"][name]["properties"]["attributes"]["propertyNames"]
        assert (names["minLength"], names["maxLength"]) == (1, 64), name


def test_every_request_and_answer_has_an_example(document: Any) -> None:
    for name, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for status, answer in operation["responses"].items():
            found = resolved(document, answer)
            assert found["description"], (name, status)
            assert ("content" in found) == (status != "204"), (name, status)
            bodies += [found] if status != "204" else []
        for body in bodies:
            for content in body["content"].values():
                assert all(examples(content)), name


def test_every_operation_names_its_error_answers(document: Any) -> None:
    for name, operation in operations(document):
        wanted = {"500"}
        if "requestBody" in operation:
            wanted |= {"400", "413", "415", "422"}
        if "{" in name:
            wanted.add("404")
        if any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
            wanted |= {"414", "422"}
        if not name.endswith("live"):
            wanted.add("503")
        assert wanted <= operation["responses"].keys(), name
        for status, answer in operation["responses"].items():
            if status >= "400":
                (content,) = resolved(document, answer)["content"].values()
                assert resolved(document, content["schema"])["required"] == [
                    "code",
                    "errors",
                    "message",
                    "status",
                    "type",
                ]
                for example in examples(content):
                    assert example["code"] == int(status), name


def test_every_operation_names_the_scope_that_its_key_must_have(locked_document: Any) -> None:
    document = locked_document
    for name, operation in operations(document):
        if "/health/" in name or "/receipts/" in name:
            assert operation["security"] == []
            continue
        reads = name.startswith("get ") or name == "post /mailings/preflight/"  # which stores nothing
        is_for_admins = "/keys/" in name or "/audit/" in name or name == "patch /providers/{name}/"
        scope = "admin" if is_for_admins else "read" if reads else "write"
        scope = "test" if scope == "write" and " /mailings/" in name else scope  # which are tests then
        assert operation["security"] == [{"key": [scope]}], name
        assert {"401", "403", "429"} <= operation["responses"].keys(), name
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")  # what makes Swagger UI show Authorize
    for answer, header in (
        ("Unauthorized", "WWW-Authenticate"),
        ("TooMany", "Retry-After"),
        ("Unavailable", "Retry-After"),
    ):
        assert header in document["components"]["responses"][answer]["headers"]


def test_without_keys_nothing_asks_for_one(document: Any, locked_document: Any) -> None:
    assert "bearer" in json.dumps(locked_document).lower()
    told = json.dumps({**document, "components": {**document["components"], "responses": {  # receipts have their own
        name: answer for name, answer in document["components"]["responses"].items() if name != "WrongCredentials"
    }}})  # fmt: skip
    for word in ("security", "bearer", "responses/Unauthorized", "WWW-Authenticate"):
        assert word.lower() not in told.lower(), word
    for name, operation in operations(document):
        assert "401" not in operation["responses"] or "/receipts/" in name, name
    for changed in (document, locked_document):
        for _, operation in operations(changed):
            operation.pop("security", None)
            operation["responses"].pop("401", None)
            operation["responses"].pop("403", None)  # of the scope there, of other sites here
    assert document["paths"] == locked_document["paths"], "all else is the same"


def test_every_parameter_and_field_is_described(document: Any) -> None:
    for name, operation in operations(document):
        path = document["paths"][name.split()[1]]
        for parameter in operation.get("parameters", []) + path.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
    for schema, description in document["components"]["schemas"].items():
        for field, about in description.get("properties", {}).items():
            assert about.get("description"), (schema, field)


def test_the_example_of_a_request_is_accepted_and_answered_as_shown(document: Any, api: Api) -> None:
    for path, changes in (("/clients/", "/clients/{client_id}/"), ("/mailings/", "/mailings/{mailing_id}/")):
        example, shown = _examples(document, path, "post", "201")
        made = api.make(path, example)
        assert list(made) == list(shown)
        volatile = {"id", "created_at"}
        assert {**made, **dict.fromkeys(volatile)} == {**shown, **dict.fromkeys(volatile)}
        for method in ("put", "patch"):
            example, shown = _examples(document, changes, method, "200")
            answer = api(method.upper(), f"{path}{made['id']}/", example)
            assert (answer.status, list(answer.json)) == (200, list(shown))
            assert answer.json.items() >= {k: v for k, v in shown.items() if k not in volatile}.items()


def _examples(document: Any, path: str, method: str, status: str) -> tuple[Any, Any]:
    operation = document["paths"][path][method]
    return tuple(
        body["content"]["application/json"]["example"]
        for body in (operation["requestBody"], operation["responses"][status])
    )


def test_no_reference_leads_nowhere(document: Any) -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        assert resolved(document, {"$ref": reference})


def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    page = api("GET", "/docs/")
    assert page.status == 200
    html = page.body.decode()
    assert re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"//.*provided from Python.*", "", html)) == []
    assert '"url": "../openapi.json"' in html, "from the page, wherever a proxy has put it"
    assets = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(assets) >= 5
    for asset in assets:
        assert asset.startswith("./")
        loaded = api("GET", f"/docs/{asset.removeprefix('./')}")
        assert (loaded.status, bool(loaded.body)) == (200, True)
        imports = re.findall(rb"@import|url\(\s*[\"']?https?:", loaded.body) if asset.endswith("css") else []
        assert imports == []
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]  # should one try all the same


def test_the_page_does_not_believe_the_host_header(api: Api) -> None:
    assert b"evil" not in api("GET", "/docs/", headers={"Host": "evil.example"}).body


def test_the_root_leads_to_the_console(api: Api) -> None:
    answer = api("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/console/")
