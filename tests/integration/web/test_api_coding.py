"""Bodies that are compressed: gzip is taken, anything else is refused, and none takes more memory than it may."""

import gzip
import json

import pytest

from tests.support.api import Answer, Api
from tests.support.books import Books

ANNA = json.dumps({"phone": "79123456789"}).encode()
FILE = b"phone\n" + b"".join(b"7912%07d\n" % number for number in range(20_000))


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def post(api: Api, data: bytes, coding: str, path: str = "/clients/") -> Answer:
    kind = "text/csv" if "import" in path else "application/json"
    return api("POST", path, data=data, content_type=kind, headers={"Content-Encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_is_taken(api: Api, coding: str) -> None:
    assert post(api, gzip.compress(ANNA), coding).json["phone"] == "79123456789"
    answer = post(api, gzip.compress(FILE), coding, "/clients/import/")
    assert (answer.status, answer.json["lines"]) == (200, 20_000)


def test_files_that_are_strung_together(api: Api) -> None:
    halves = [gzip.compress(FILE[:1000]), gzip.compress(FILE[1000:])]
    assert post(api, b"".join(halves), "gzip", "/clients/import/").json["created"] == 20_000


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", ""])
@pytest.mark.parametrize("path", ["/clients/", "/clients/import/"])
def test_others_are_refused(api: Api, coding: str, path: str) -> None:
    answer = post(api, ANNA, coding, path)
    assert (answer.status, answer.json["type"]) == (415, "media-type")
    assert answer.headers["Accept-Encoding"] == "gzip, identity"
    assert post(api, ANNA, "identity").status == 201


WRONG = {"plain": ANNA, "empty": b"", "cut short": gzip.compress(ANNA)[:-1], "followed": gzip.compress(ANNA) + b"x"}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_not_gzip(api: Api, data: bytes) -> None:
    assert (post(api, data, "gzip").status, api.get("/clients/")) == (400, [])


def test_a_small_body_that_is_a_large_one(api: Api) -> None:
    bomb = gzip.compress(b" " * 60_000_000)
    answer = post(api, bomb, "gzip")
    assert (answer.status, answer.json["type"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"phone\n79123456789\n", 200),
        (b'{"phone": "79123456789"}\n', 200),
        (b' \n{"phone": "79123456789"}', 200),
        (b"", 422),
    ],
    ids=["CSV", "NDJSON", "NDJSON after a blank", "nothing"],
)
def test_a_file_of_no_type_is_recognised(api: Api, data: bytes, status: int) -> None:
    answer = api("POST", "/clients/import/", data=data, content_type="application/octet-stream")
    assert answer.status == status
    assert len(api.get("/clients/")) == (1 if status == 200 else 0)
