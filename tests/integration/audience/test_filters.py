"""Whom a filter chooses: the launch, a count, a survey and a look at one client, against what it means."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from shared.audience.chosen import Chosen, Span, chosen, read_parts
from shared.audience.counting import count_clients
from shared.audience.members import unmatched
from shared.audience.surveying import sample, survey
from shared.domain.filter import Filter
from shared.domain.message import MessageState
from shared.domain.segments import Audience, Segment
from shared.messages import create_statement
from tests.support import meaning
from tests.support.books import Books
from tests.support.meaning import World

CODES = ["912", "926"]
TAGS = ["", "vip", "'; drop table clients; --", "%s", ":tags_1", "\\"]
ZONES = ["UTC", "Asia/Omsk"]
NAMES = ["city", "a.b", "__class__", "select", "%(name_1)s", ":values_2", '"', "\\", "' or 1=1 --", "{}", "0", "$"]
VALUES: list[Any] = [
    *("Omsk", "1", "true", "{}", "null", "'", '"', "\\", "%s", ":x", "😀", "v" * 1000),
    *(1, 0, -1, 0.5, 1e-7, 5e-324, 2**53 - 1, True, False),
]
CLIENTS = 120
MAILINGS = {1: "sent", 2: "failed", 3: "pending", 4: "unknown", 5: "cancelled", 6: "expired", 7: "skipped"}
"""And what became of the messages of each; 8 has none yet."""


def client(number: int) -> dict[str, Any]:
    """Each is made of other pieces than those beside it, and some have no attributes."""
    some = {NAMES[(number + i) % len(NAMES)]: VALUES[(number * (i + 3)) % len(VALUES)] for i in range(number % 5)}
    return {
        "id": number,
        "operator_code": CODES[number % 2],
        "tag": TAGS[number % len(TAGS)],
        "timezone": ZONES[number // 2 % 2],
        "attributes": some,
    }


DIRECTORY = [client(number) for number in range(1, CLIENTS + 1)]
IMPORTS = {1: set(range(1, 40)), 2: set(range(30, 100, 3)), 3: set[int]()}
MESSAGES = {
    mailing: dict.fromkeys((n for n in range(1, CLIENTS + 1) if n % (mailing + 1) == 0), state)
    for mailing, state in MAILINGS.items()
}


@pytest.fixture(scope="module")
def furnished(books_engine: Engine) -> Engine:
    books = Books(books_engine)
    books.empty()
    for one in DIRECTORY:
        books.run(
            """insert into clients (phone, operator_code, tag, timezone, attributes)
               values (79000000000 + :id, :operator_code, :tag, :timezone, cast(:attributes as jsonb))""",
            **{**one, "attributes": json.dumps(one["attributes"])},
        )
    for import_id, ids in IMPORTS.items():
        books.run(
            "insert into import_clients (import_id, chunk, clients) values (:id, 0, cast(:clients as smallint[]))",
            id=import_id, clients=sorted(ids),
        )  # fmt: skip
    for mailing_id, messages in MESSAGES.items():
        assert books.mailing() == mailing_id
        for client_id, state in messages.items():
            due_at = "now()" if state == "pending" else "null"
            books.run(
                f"""insert into messages (part, mailing_id, client_id, phone, status, due_at)
                    values (1, :mailing, :client, 79000000000, cast(:state as message_state), {due_at})""",
                mailing=mailing_id, client=client_id, state=state,
            )  # fmt: skip
    books.place()
    books.mailing()
    return books_engine


@pytest.fixture
def connection(furnished: Engine) -> Iterator[Connection]:
    with furnished.connect() as connection:
        yield connection


def audience(wanted: Mapping[str, Any], segments: Mapping[int, Mapping[str, Any]]) -> Audience:
    """As a mailing keeps it."""
    kept = [Segment(number, "", 1, Filter.of_json(one)).as_json() for number, one in segments.items()]
    filter_ = Filter.of_json(json.loads(json.dumps(Filter.of_json(wanted).as_json())))
    return Audience.of(filter_, map(Segment.of_json, json.loads(json.dumps(kept))))


def in_spans(connection: Connection, one: Audience, length: int) -> set[int]:
    """As a launch goes through the directory."""
    found: list[int] = []
    span = Span("cast(:after as bigint)", "cast(:last as bigint)")
    wanted = chosen(one, read_parts(connection, one), span, "asked")
    parts = f"with {', '.join(wanted.parts)}" if wanted.parts else ""
    statement = text(f"""
        with {create_statement.asked({"id": "bigint", **wanted.columns})}
        select client.id from asked cross join lateral (
            {parts} select clients.id from clients {wanted.joins}
            where clients.id > :after and clients.id <= :last and {wanted.condition}) client
    """)
    job = {name: value for name, value in wanted.values.items() if name in wanted.columns}
    bound = {name: value for name, value in wanted.values.items() if name not in wanted.columns}
    for after in range(0, CLIENTS, length):
        values = {**bound, "after": after, "last": after + length, "jobs": json.dumps([{"id": 1, **job}])}
        found += connection.scalars(statement, values)
    assert len(found) == len(set(found))
    return set(found)


def agree(connection: Connection, wanted: Mapping[str, Any], world: World, length: int = 50) -> set[int]:
    """Everybody who asks finds what is meant; the ids."""
    meant = {one["id"] for one in DIRECTORY if meaning.is_chosen(one, wanted, world)}
    one = audience(wanted, world.segments)
    assert in_spans(connection, one, length) == meant
    assert count_clients(connection, one) == len(meant)
    surveyed = survey(connection, one)
    assert (surveyed.clients, surveyed.reached, surveyed.skipped) == (len(meant), len(meant), {})
    for column, counts in (("operator_code", surveyed.operator_codes), ("timezone", surveyed.timezones),
                           ("tag", surveyed.tags)):  # fmt: skip
        assert counts == Counter(DIRECTORY[number - 1][column] for number in meant)
    assert {each.id for each in sample(connection, one, len(meant), CLIENTS)} == meant
    for number in (1, 2, 30, CLIENTS):
        assert (unmatched(connection, one, number) == []) == (number in meant)
    assert unmatched(connection, one, CLIENTS + 1) is None
    return meant


EVERYBODY = set(range(1, CLIENTS + 1))
SEGMENTS: dict[int, Mapping[str, Any]] = {
    1: {},
    2: {"tags": ["vip"]},
    3: {"exclude": {"tags": ["vip"]}},
    4: {"segments": [2, 3]},
    5: {"exclude": {"segments": [1]}},
    6: {"attributes": {"city": VALUES}},
    7: {"exclude": {"segments": [6]}},
    8: {"imports": [1], "exclude": {"imports": [2]}},
    9: {"exclude": {"mailings": [1]}},
}


def ids(**of: Any) -> set[int]:
    return {one["id"] for one in DIRECTORY if all(one[name] == value for name, value in of.items())}


def having(name: str, *values: Any) -> set[int]:
    found = {one["id"] for one in DIRECTORY if name in one["attributes"]}
    return {n for n in found if not values or repr(DIRECTORY[n - 1]["attributes"][name]) in map(repr, values)}


TABLE: list[tuple[dict[str, Any], set[int]]] = [
    ({}, EVERYBODY),
    ({"operator_codes": ["912"]}, ids(operator_code="912")),
    ({"operator_codes": ["000"]}, set()),
    ({"tags": ["vip", ""]}, ids(tag="vip") | ids(tag="")),
    ({"tags": ["'; drop table clients; --"]}, ids(tag="'; drop table clients; --")),
    ({"timezones": ["UTC"], "tags": [":tags_1"]}, ids(timezone="UTC", tag=":tags_1")),
    ({"attributes": {"city": VALUES}}, having("city")),
    ({"attributes": {"city": ["Omsk"]}}, having("city", "Omsk")),
    ({"attributes": {"city": [1]}}, having("city", 1)),
    ({"attributes": {"city": [1.0]}}, having("city", 1)),
    ({"attributes": {"city": [True]}}, having("city", True)),
    ({"attributes": {"city": ["1"]}}, having("city", "1")),
    ({"attributes": {"nobody has it": ["Omsk"]}}, set()),
    ({"attributes": {"city": VALUES, "a.b": VALUES}}, having("city") & having("a.b")),
    ({"attributes": {"' or 1=1 --": VALUES}}, having("' or 1=1 --")),
    ({"attributes": {"city": [f"value {n}" for n in range(1000)]}}, set()),
    ({"attributes": {"city": [*(f"value {n}" for n in range(999)), "Omsk"]}}, having("city", "Omsk")),
    ({"imports": [1]}, IMPORTS[1]),
    ({"imports": [1, 2, 3]}, IMPORTS[1] | IMPORTS[2]),
    ({"imports": [3]}, set()),
    ({"imports": [1], "tags": ["vip"]}, IMPORTS[1] & ids(tag="vip")),
    ({"segments": [1]}, EVERYBODY),
    ({"segments": [2, 3]}, EVERYBODY),
    ({"segments": [4]}, EVERYBODY),
    ({"segments": [5]}, set()),
    ({"segments": [3]}, EVERYBODY - ids(tag="vip")),
    ({"segments": [6]}, having("city")),
    ({"segments": [7]}, EVERYBODY - having("city")),
    ({"segments": [8]}, IMPORTS[1] - IMPORTS[2]),
    ({"segments": [2], "tags": [""]}, set()),
    # What is left out: whoever matches any list; nothing leaves out nobody.
    ({"exclude": {}}, EVERYBODY),
    ({"exclude": {"tags": []}}, EVERYBODY),
    ({"exclude": {"tags": ["vip"], "operator_codes": ["912"]}}, EVERYBODY - ids(tag="vip") - ids(operator_code="912")),
    ({"exclude": {"attributes": {"city": VALUES}}}, EVERYBODY - having("city")),
    ({"exclude": {"attributes": {"city": VALUES, "a.b": VALUES}}}, EVERYBODY - (having("city") & having("a.b"))),
    ({"exclude": {"segments": [1]}}, set()),
    ({"exclude": {"segments": [5]}}, EVERYBODY),
    ({"exclude": {"segments": [7]}}, having("city")),
    ({"exclude": {"imports": [1]}}, EVERYBODY - IMPORTS[1]),
    ({"imports": [1], "exclude": {"imports": [2]}}, IMPORTS[1] - IMPORTS[2]),
    ({"exclude": {"mailings": [1]}}, EVERYBODY - MESSAGES[1].keys()),
    ({"exclude": {"mailings": [2, 5, 6, 7, 8]}}, EVERYBODY),
    ({"exclude": {"mailings": [1, 2, 3, 4]}}, EVERYBODY - MESSAGES[1].keys() - MESSAGES[3].keys() - MESSAGES[4].keys()),
    ({"segments": [9]}, EVERYBODY - MESSAGES[1].keys()),
    ({"exclude": {"segments": [9]}}, EVERYBODY & MESSAGES[1].keys()),
]


@pytest.mark.parametrize(
    ("wanted", "found"), TABLE, ids=lambda one: json.dumps(one)[:80] if isinstance(one, dict) else ""
)
def test_whom_a_filter_chooses(connection: Connection, wanted: dict[str, Any], found: set[int]) -> None:
    assert agree(connection, wanted, World(SEGMENTS, IMPORTS, MESSAGES)) == found


def test_the_states_in_which_somebody_got_it_are_all_thought_of() -> None:
    assert {*MAILINGS.values(), "sending", "retrying"} == set(MessageState)


def test_what_of_a_filter_a_client_does_not_match(connection: Connection) -> None:
    lists: dict[str, Any] = {"operator_codes": ["926"], "tags": TAGS, "timezones": ZONES, "attributes": {"x": ["y"]}}
    wanted = lists | {"segments": [5], "imports": [2], "exclude": lists | {"segments": [1], "mailings": [1, 2]}}
    world = World(SEGMENTS, IMPORTS, MESSAGES)
    assert unmatched(connection, audience(wanted, world.segments), 1) == [
        *("attributes", "segments", "imports", "exclude.operator_codes", "exclude.tags", "exclude.timezones"),
        "exclude.segments",
    ]
    assert unmatched(connection, audience({"exclude": {"mailings": [1]}}, {}), 2) == ["exclude.mailings"]


# ---------------------------------------------------------------- any


def some(values: list[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=most)


def lists(segments: list[int]) -> st.SearchStrategy[dict[str, Any]]:
    values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=30)
    members: dict[str, Any] = {
        "operator_codes": some(CODES),
        "tags": some(TAGS),
        "timezones": some(ZONES),
        "attributes": st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
        "imports": some(list(IMPORTS)),
    }
    if segments:
        members["segments"] = some(segments)
    return st.fixed_dictionaries({}, optional=members)


def filters(segments: list[int]) -> st.SearchStrategy[dict[str, Any]]:
    """segments: that may be named."""
    mailings = st.fixed_dictionaries({}, optional={"mailings": some([*MAILINGS, 8])})
    exclude = st.builds(dict.__or__, lists(segments), mailings)
    return st.builds(lambda own, left_out: own | {"exclude": left_out}, lists(segments), exclude)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], World]:
    """Segments name those before them."""
    segments: dict[int, Any] = {}
    for number in range(1, draw(st.integers(1, 5))):
        segments[number] = draw(filters(list(segments)))
    return draw(filters(list(segments))), World(segments, IMPORTS, MESSAGES)


@settings(max_examples=150)
@given(world=worlds(), length=st.sampled_from([7, 50, 1000]))
def test_any_filter_chooses_whom_it_means(furnished: Engine, world: tuple[dict[str, Any], World], length: int) -> None:
    with furnished.connect() as connection:
        agree(connection, *world, length)


def test_a_segment_of_a_hundred_segments(connection: Connection) -> None:
    """Of which each has a thousand values."""
    many = {
        n: {"attributes": {"city": [f"value {n} {i}" for i in range(999)] + [VALUES[n % 9]]}} for n in range(1, 101)
    }
    world = World({**many, 101: {"segments": list(many)}}, IMPORTS, MESSAGES)
    assert agree(connection, {"segments": [101]}, world) == having("city", *VALUES[:9])
    assert agree(connection, {"exclude": {"segments": [101]}}, world) == EVERYBODY - having("city", *VALUES[:9])


def test_nothing_that_a_filter_says_is_read_as_sql() -> None:
    """The statement is the same whatever it says."""

    def compiled(tags: list[str], names: list[str], values: list[Any]) -> list[Chosen]:
        lists = {"tags": tags, "attributes": dict.fromkeys(names, values), "imports": [1]}
        one = audience({**lists, "exclude": {**lists, "mailings": [1]}}, {})
        return [chosen(one, (1,), span) for span in (None, Span("0", "9"))]

    harmless = compiled(["a"], [f"name {n}" for n in range(len(NAMES))], ["a"])
    for one, other in zip(compiled(TAGS, NAMES, VALUES[:12]), harmless, strict=True):
        assert (one.parts, one.joins, one.conditions) == (other.parts, other.joins, other.conditions)
