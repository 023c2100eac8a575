"""HEAD is GET without the body, OPTIONS names the methods."""

import pytest
from sqlalchemy import Engine

from tests.support.api import Api


@pytest.fixture
def api(engine: Engine) -> Api:
    return Api(engine)


def test_head_is_get_without_the_body(api: Api) -> None:
    for number in range(2):
        api.make("/clients/", {"phone": f"7912000000{number}"})
    for path in ("/clients/1/", "/clients/?after_id=0&page_size=1", "/clients/", "/health/live", "/docs/", "/audit/"):
        head, get = api("HEAD", path), api("GET", path)
        assert (head.status, head.body) == (200, b""), path
        assert dict(head.headers) | {"X-Request-ID": ""} == dict(get.headers) | {"X-Request-ID": ""}, path


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/clients/", "GET, HEAD, OPTIONS, POST"),
        ("/clients/1/", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/mailings/1/pause/", "OPTIONS, POST"),
        ("/docs/", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_names_the_methods(api: Api, path: str, methods: str) -> None:
    answer = api("OPTIONS", path)
    assert (answer.status, answer.body, answer.headers["Allow"]) == (204, b"", methods)
    assert "Content-Type" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert api("OPTIONS", "/nothing/").status == 404
