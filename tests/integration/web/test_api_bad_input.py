"""Bad input: an answer that names the field, and nothing changed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.database.engine import make_engine
from tests.support.api import HOUR, Api, from_now, mailing
from tests.support.new_database import MIGRATED, new_database

CLIENT = {"phone": "79123456789"}
ARABIC = "".join(chr(0x660 + int(digit)) for digit in "79123456789")
NUL, HIGH, LOW = "a\0b", "a\ud83d", "\udc4bb"


def client(**values: Any) -> dict[str, Any]:
    return {**CLIENT, **values}


Case = tuple[Any, set[str]]

CLIENTS: list[Case] = [
    ({}, {"phone"}),
    ([], {"_schema"}),
    ([CLIENT], {"_schema"}),
    ("79123456789", {"_schema"}),
    (79123456789, {"_schema"}),
    (None, {"_schema"}),
    (True, {"_schema"}),
    (client(id=1), {"id"}),
    (client(made_at="2026-01-31T09:00:00Z"), {"made_at"}),
    (client(name="Anna"), {"name"}),
    (client(**{NUL: 1}), {NUL}),
    (client(**{HIGH: 1}), {HIGH}),
    *((client(phone=phone), {"phone"}) for phone in ("+7 912 345-67-89", "89123456789", "9123456789", "7912345678")),
    *((client(phone=phone), {"phone"}) for phone in (ARABIC, "79123456789\n", "", None, 79123456789, 7.9e10, True)),
    *((client(phone=phone), {"phone"}) for phone in (["79123456789"], {"number": 1}, NUL, HIGH)),
    *((client(operator_code=code), {"operator_code"}) for code in ("91", "9122", "abc", ARABIC[:3], 912, None, NUL)),
    *((client(timezone=zone), {"timezone"}) for zone in ("../../etc/passwd", "/etc/passwd", "Mars/Phobos", "", NUL)),
    *((client(timezone=zone), {"timezone"}) for zone in (None, 3, "Europe", "europe/moscow", "a" * 60_000, HIGH)),
    *((client(tag=tag), {"tag"}) for tag in ("t" * 65, NUL, HIGH, LOW, None, 5, ["vip"])),
    ({"phone": "x", "tag": 1, "colour": "red"}, {"phone", "tag", "colour"}),
]

NO_FILTERS: list[Any] = [None, [], "everyone", 5, {"phones": []}, {"tags": "vip"}]
NO_TAGS: list[Any] = [None, [None], [5], ["t" * 65], [NUL], [HIGH], ["t"] * 1001, [["vip"]], [{}], {"0": "vip"}]
NO_CODES: list[Any] = [["91"], [912], ["abc"], [ARABIC[:3]]]
NO_VALUES: list[Any] = [
    *(
        None,
        [],
        "Omsk",
        1,
        {"a": 1},
        [None],
        [[]],
        [["Omsk"]],
        [{}],
        [{"a": 1}],
        [""],
        ["\u200b"],
        [NUL],
        [HIGH],
        [LOW],
    ),
    *(["v" * 1001], [2**53], [-(2**53)], ["v"] * 1001, ["Omsk", None]),
]
NO_IDS: list[Any] = [None, 1, "1", ["1"], [1.5], [True], [0], [-1], [2**63], [None], [[1]], {}, [1] * 101, [404]]
LISTS: list[Any] = [
    *({"tags": tags} for tags in NO_TAGS),
    *(
        {"timezones": zones}
        for zones in (None, "UTC", [None], ["Mars"], [""], ["../UTC"], [NUL], [HIGH], ["UTC"] * 1001)
    ),
    *(
        {"attributes": values}
        for values in (None, [], "city", {"": ["a"]}, {"n" * 65: ["a"]}, {NUL: ["a"]}, {HIGH: ["a"]})
    ),
    *({"attributes": {"city": values}} for values in NO_VALUES),
    {"attributes": {"city": ["a"], " city": ["b"]}},
    {"attributes": {str(n): ["a"] for n in range(51)}},
    *({name: ids} for name in ("segments", "imports") for ids in NO_IDS),
]
FILTERS: list[Any] = [
    *LISTS,
    *({"exclude": lists} for lists in (*LISTS, None, [], "nobody", {"exclude": {}}, {"colour": []})),
    *({"exclude": {"mailings": ids}} for ids in NO_IDS),
    {"mailings": [1]},
]
"""That are none, of mailings and of segments."""

SEGMENTS: list[Case] = [
    ({}, {"name", "filter"}),
    (None, {"_schema"}),
    *(({"name": name, "filter": {}}, {"name"}) for name in (None, 5, "", " \u200b", "n" * 65, NUL, HIGH, ["a"])),
    *(({"name": "a", "filter": chosen}, {"filter"}) for chosen in (*NO_FILTERS, *FILTERS)),
    *(
        ({"name": "a", "filter": {}, name: 1}, {name})
        for name in ("id", "revision", "count", "uncounted_because", "created_at", "size")
    ),
]

NO_WINDOWS: list[Any] = [{}, [], "09:00-21:00", 9, False]

MAILINGS: list[Case] = [
    (None, {"_schema"}),
    *(
        (mailing(**{name: value}), {name})
        for name, value in {"id": 1, "state": "running", "statistics": {}, "created_at": None, "paused_at": 1}.items()
    ),
    *((mailing(text=text), {"text"}) for text in ("   ", "\n", "\u200b\u200b", "\u00a0", "\u3164")),
    *((mailing(text=text), {"text"}) for text in ("", "t" * 2001, NUL, HIGH, LOW, None, 5, ["Hello"])),
    *(
        (mailing(**{name: moment}), {name})
        for name in ("starts_at", "ends_at")
        for moment in (
            *("2090-01-31T09:00:00", "2090-01-31", "2090-02-30T09:00:00Z", "2090-01-31T25:00:00Z", "tomorrow", ""),
            *("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "10000-01-01T00:00Z"),
            *(4_102_444_800, None, ["2090-01-31T09:00:00Z"], NUL, HIGH),
        )
    ),
    (mailing(ends_at=from_now(HOUR / 2)), {"ends_at"}),  # before the start
    (mailing(starts_at="2090-01-31T09:00:00Z", ends_at="2090-01-31T12:00:00+03:00"), {"ends_at"}),  # equal to it
    (mailing(starts_at=from_now(-2 * HOUR), ends_at=from_now(-HOUR)), {"ends_at"}),  # past
    *((mailing(filter=chosen), {"filter"}) for chosen in NO_FILTERS),
    *((mailing(filter={"tags": tags}), {"filter"}) for tags in NO_TAGS),
    *((mailing(filter={"operator_codes": codes}), {"filter"}) for codes in NO_CODES),
    *((mailing(filter=chosen), {"filter"}) for chosen in FILTERS),
    *((mailing(send_window=window), {"send_window"}) for window in NO_WINDOWS),
    *(
        (mailing(send_window={"from": start, "until": until}), {"send_window"})
        for start, until in (
            *(("09:00", "09:00"), ("9:00", "21:00"), ("09:00", "24:00"), ("09:00", "21:00:00"), (9, 21)),
            *((None, "21:00"), ("09:00", NUL), ("09:00", ""), ("09:00+03:00", "21:00"), (HIGH, "21:00")),
        )
    ),
    *((mailing(priority=priority), {"priority"}) for priority in ("high", "Urgent", "", 1, None, ["bulk"])),
    (mailing(send_window={"from": "09:00"}), {"send_window"}),
    (mailing(send_window={"from": "09:00", "until": "21:00", "zone": "UTC"}), {"send_window"}),
]

READ_ONLY = {"id", "state", "statistics", "created_at", "revision", "count", "uncounted_because"}

CASES = [
    (path, *case)
    for path, cases in (("/clients/", CLIENTS), ("/segments/", SEGMENTS), ("/mailings/", MAILINGS))
    for case in cases
]


@pytest.fixture(scope="module")
def api(postgres: str) -> Iterator[Api]:
    """One for the whole module: none of its requests may change anything, so they may share a database."""
    with new_database(postgres, MIGRATED) as url:
        engine = make_engine(url, "test")
        api = Api(engine)
        api.make("/clients/", {"phone": "79000000001"})
        api.make("/segments/", {"name": "All", "filter": {}})
        api.make("/mailings/", mailing())
        yield api
        engine.dispose()


@pytest.fixture(autouse=True)
def _nothing_changes(api: Api) -> Iterator[None]:
    before = api.contents()
    api.announced.clear()
    yield
    assert api.contents() == before
    assert api.announced == []


@pytest.mark.parametrize(("path", "body", "at_fault"), CASES)
def test_bad_bodies(api: Api, path: str, body: Any, at_fault: set[str]) -> None:
    data = {"data": json.dumps(body), "content_type": "application/json"}
    for method, target in (("POST", path), ("PUT", f"{path}1/"), ("PATCH", f"{path}1/")):
        if method == "PATCH" and body == {}:
            continue  # nothing is required in a part
        if method == "PUT" and at_fault <= READ_ONLY:
            continue  # it takes what GET gave
        answer = api(method, target, **data)
        assert (answer.status, answer.at_fault) == (422, at_fault)


def test_all_that_a_mailing_lacks_is_told_at_once(api: Api) -> None:
    """Of one that is there it is not known yet whether it is a draft, which may be without times."""
    for body, at_fault in (({}, {"text", "starts_at", "ends_at"}), ({"draft": True}, {"text"})):
        answer = api("POST", "/mailings/", body)
        assert (answer.status, answer.at_fault) == (422, at_fault)
    answer = api("PUT", "/mailings/1/", {})
    assert (answer.status, answer.at_fault) == (422, {"text"})


JSON = "application/json"

RAW: list[tuple[str, bytes, str, int]] = [
    ("empty", b"", JSON, 400),
    ("blank", b" \n", JSON, 400),
    ("cut short", b'{"phone": "79123456789"', JSON, 400),
    ("two values", b"{} {}", JSON, 400),
    ("single quotes", b"{'phone': '79123456789'}", JSON, 400),
    ("NaN", b'{"phone": NaN}', JSON, 400),
    ("Infinity", b'{"phone": -Infinity}', JSON, 400),
    ("not UTF-8", b'{"phone": "\xff"}', JSON, 400),
    ("UTF-16", '{"phone": "79123456789"}'.encode("utf-16"), JSON, 400),
    ("a byte order mark", b"\xef\xbb\xbf{}", JSON, 400),
    ("a raw control character", b'{"phone": "7\n"}', JSON, 400),
    ("deeply nested", b"[" * 30_000, JSON, 400),
    ("deeply nested and closed", b'{"phone":' * 5_000 + b"1" + b"}" * 5_000, JSON, 400),
    ("a number of 5000 digits", b'{"phone": ' + b"7" * 5000 + b"}", JSON, 400),
    ("an exponent", b'{"phone": 1e999999}', JSON, 422),
    ("a name given twice", b'{"phone": "79123456789", "phone": "79123456780"}', JSON, 422),
    ("a name given twice within", b'{"filter": {"tags": [], "tags": ["a"]}}', JSON, 422),
    ("many names given twice", b"{" + b",".join([b'"a":1'] * 9_000) + b"}", JSON, 422),
    ("an escaped half of a pair", b'{"phone": "\\ud800"}', JSON, 422),
    ("too large", b'{"tag": "' + b"a" * 65_536 + b'"}', JSON, 413),
    ("too large and no JSON", b"a" * 1_000_000, JSON, 413),
    ("a form", b"phone=79123456789", "application/x-www-form-urlencoded", 415),
    ("text", b'{"phone": "79123456789"}', "text/plain", 415),
    ("no type", b'{"phone": "79123456789"}', "", 415),
    ("a file", b"--x--", "multipart/form-data; boundary=x", 415),
]


@pytest.mark.parametrize("path", ["/clients/", "/mailings/"])
@pytest.mark.parametrize(("body", "content_type", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_bodies_that_are_no_json_of_ours(api: Api, path: str, body: bytes, content_type: str, status: int) -> None:
    for method, target in (("POST", path), ("PUT", f"{path}1/"), ("PATCH", f"{path}1/")):
        assert api(method, target, data=body, content_type=content_type).status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 302),
        ("GET", "/nothing", 404),
        ("GET", "/clients/1", 308),
        ("GET", "/clients/1/more/", 404),
        ("GET", "/mailings/general_statistics/1/", 404),
        ("DELETE", "/clients/", 405),
        ("PUT", "/mailings/", 405),
        ("POST", "/clients/1/", 405),
        ("GET", "/mailings/1/pause/", 405),
        ("POST", "/mailings/1/detail_statistics/", 405),
        ("POST", "/mailings/1/explode/", 404),
        ("POST", "/health/live", 405),
        ("BREW", "/clients/", 405),
        ("GET", "/docs/../../etc/passwd", 404),
        ("GET", "/docs/%2e%2e/%2e%2e/__init__.py", 404),
        ("GET", "/clients/%00/", 404),
        ("GET", "/clients/%ff%fe/", 404),
    ],
)
def test_places_and_methods_that_there_are_not(api: Api, method: str, path: str, status: int) -> None:
    answer = api(method, path)
    assert answer.status == status
    if status == 405:
        assert answer.headers["Allow"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=("Cs", "Cc", "Nd")))
    | st.sampled_from(["79123456789", "912", "UTC", "2090-01-31T09:00:00Z", "9999-12-31T23:59:59-14:00", "09:00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    [
        "phone",
        "operator_code",
        "tag",
        "timezone",
        "text",
        "starts_at",
        "ends_at",
        "filter",
        "send_window",
        "priority",
        "id",
        "state",
    ]
)
MEMBERS = ["operator_codes", "tags", "timezones", "attributes", "segments", "imports", "exclude", "from", "until"]
INNER = st.dictionaries(st.sampled_from(MEMBERS), ANYTHING, max_size=3)
FIELDS = st.dictionaries(NAMES, ANYTHING | INNER, max_size=6)
NEARLY_GOOD = st.builds(lambda good, bad: good | bad, st.sampled_from([CLIENT, mailing()]), FIELDS)
BODIES = ANYTHING | FIELDS | NEARLY_GOOD


@example(body={"tag": "vip"}, path="/clients/", method="PATCH")
@example(body={"text": "Good evening"}, path="/mailings/", method="PATCH")
@given(body=BODIES, path=st.sampled_from(["/clients/", "/mailings/"]), method=st.sampled_from(["POST", "PATCH", "PUT"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_answer_is_no_defect(api: Api, body: Any, path: str, method: str) -> None:
    """What happens to be valid is undone; the shape of errors is held by the fixture."""
    target = path if method == "POST" else f"{path}1/"
    with undone(api):
        answer = api(method, target, data=json.dumps(body), content_type=JSON)
    assert answer.status in {200, 201, 400, 409, 413, 422}
    if answer.status == 422:
        assert answer.at_fault


@contextmanager
def undone(api: Api) -> Iterator[None]:
    present = {path: api.get(f"{path}1/") for path in ("/clients/", "/mailings/")}
    yield
    api.announced.clear()
    for table in ("clients", "mailings"):
        api.execute(f"delete from {table} where id > 1")
    assert api("PUT", "/clients/1/", {k: v for k, v in present["/clients/"].items() if k != "id"}).status == 200
    fields = ("text", "starts_at", "ends_at", "filter", "send_window", "priority")
    columns = {name: present["/mailings/"][name] for name in fields}
    assert api("PUT", "/mailings/1/", columns).status == 200
    for table in ("clients", "mailings"):
        revision = present[f"/{table}/"]["revision"]
        api.execute(f"update {table} set revision = :revision where id = 1", revision=revision)
