"""A mailing looked at before its start: what is said of it, and that nothing is changed by it."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from api_service.mailings import preflight_store, preflight_texts
from shared.domain.hours import hours_of
from shared.domain.window import Window
from tests.support.api import EVERYONE, HOUR, Api, from_now, mailing
from tests.support.books import Books

pytest_plugins = ("tests.support.api_fixture",)

MOSCOW, OMSK, VLADIVOSTOK = "Europe/Moscow", "Asia/Omsk", "Asia/Vladivostok"


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


@pytest.fixture
def directory(books: Books) -> Books:
    """Nine clients, one of them suppressed."""
    books.clients(4, timezone=MOSCOW, operator_code="912", tag="vip")
    books.clients(3, timezone=OMSK, operator_code="926", tag="vip")
    books.clients(2, timezone=OMSK, operator_code="912")
    books.run("update clients set suppression_id = 1 where id = 1")
    return books


def check(api: Api, **values: Any) -> Any:
    """What is said of a mailing that is not stored."""
    answer = api("POST", "/mailings/preflight/", mailing(**values))
    assert answer.status == 200, answer.body
    return answer.json


def types(found: Any, members: str = "blockers") -> list[str]:
    return [one["type"] for one in found[members]]


def test_who_would_get_it(api: Api, directory: Books) -> None:
    found = check(api)["audience"]
    assert (found["clients"], found["skipped"]) == (9, [{"reason": "opted_out", "clients": 1}])
    assert [(one["operator_code"], one["clients"]) for one in found["operator_codes"]] == [("912", 5), ("926", 3)]
    assert [(one["timezone"], one["clients"]) for one in found["timezones"]] == [(OMSK, 5), (MOSCOW, 3)]
    assert [(one["tag"], one["clients"]) for one in found["tags"]] == [("vip", 6), ("", 2)]
    assert sum(one["clients"] for one in found["hours"]) == 8
    assert [found[f"other_{name}"] for name in ("operator_codes", "timezones", "tags")] == [0, 0, 0]


def test_a_stored_one_goes_by_its_segments_as_they_were_when_it_was_saved(api: Api, directory: Books) -> None:
    segment = api.make("/segments/", {"name": "Omsk", "filter": {"timezones": [OMSK]}})["id"]
    stored = api.make("/mailings/", mailing(filter={"segments": [segment]}))["id"]
    assert api("PATCH", f"/segments/{segment}/", {"filter": {"tags": ["nobody"]}}).status == 200
    assert api.get(f"/mailings/{stored}/preflight/")["audience"]["clients"] == 5
    assert types(check(api, filter={"segments": [segment]})) == ["nobody"]


@pytest.fixture(scope="module")
def furnished(books_engine: Engine) -> Api:
    """A directory in which everything is a little different."""
    books = Books(books_engine)
    books.empty()
    for number, zone in enumerate((MOSCOW, OMSK, VLADIVOSTOK, "America/New_York", "UTC", "Pacific/Kiritimati")):
        for code in ("900", "912", "926"):
            for tag in ("", "vip", "new"):
                books.clients(1 + (number + len(tag)) % 4, timezone=zone, operator_code=code, tag=tag)
    books.run("update clients set suppression_id = id where id % 7 = 0")
    books.run("update clients set attributes = jsonb_build_object('n', id % 5) where id % 3 = 0")
    got, _ = books.launched(0, tags=["new"], ends=24 * HOUR)
    assert got == 1
    return Api(books_engine)


some_filters = st.fixed_dictionaries(
    {},
    optional={
        "operator_codes": st.lists(st.sampled_from(["900", "912", "999"]), max_size=2),
        "tags": st.lists(st.sampled_from(["", "vip", "new"]), max_size=2),
        "timezones": st.lists(st.sampled_from([MOSCOW, OMSK, VLADIVOSTOK, "UTC"]), max_size=3),
        "attributes": st.just({}) | st.fixed_dictionaries({"n": st.lists(st.integers(0, 5), min_size=1, max_size=3)}),
        "exclude": st.fixed_dictionaries(
            {},
            optional={
                "tags": st.lists(st.sampled_from(["vip", "new"]), max_size=1),
                "mailings": st.lists(st.just(1), max_size=1),
                "attributes": st.just({}) | st.just({"n": [0, 1]}),
            },
        ),
    },
)
windows = st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda pair: pair[0] != pair[1]).map(
    lambda pair: {"from": f"{pair[0]:02}:00", "until": f"{pair[1]:02}:00"}
)


@given(some_filters, windows)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_it_counts_is_what_a_launch_makes(
    furnished: Api, some: dict[str, Any], window: dict[str, str] | None
) -> None:
    wanted = mailing(starts_at=from_now(-HOUR), ends_at=from_now(5 * HOUR), filter=some, send_window=window)
    before = furnished("POST", "/mailings/preflight/", wanted).json
    made = furnished.make("/mailings/", wanted)["id"]
    assert furnished.launch(made) == before["audience"]["clients"]
    rows = Books(furnished.engine).run(
        """select c.operator_code, c.timezone, c.tag, m.status, m.error, m.due_at, g.ends_at from messages m
           join clients c on c.id = m.client_id join mailings g on g.id = m.mailing_id where m.mailing_id = :id""",
        id=made,
    )  # fmt: skip
    skipped = Counter(row.error for row in rows if row.status == "skipped")
    sent = [row for row in rows if row.status != "skipped"]
    found = before["audience"]
    assert {one["reason"]: one["clients"] for one in found["skipped"]} == skipped
    for name, members in (("operator_code", "operator_codes"), ("timezone", "timezones"), ("tag", "tags")):
        assert {one[name]: one["clients"] for one in found[members]} == Counter(getattr(row, name) for row in sent)
    closed = {one["timezone"] for one in found["timezones"] if one["opens_at"] is None}
    assert closed == {row.timezone for row in sent if row.due_at >= row.ends_at}
    assert (types(before) == []) == bool(set(found and (row.timezone for row in sent)) - closed)
    furnished.execute("delete from messages where mailing_id = :id", id=made)
    furnished.execute("update mailings set finished_at = now(), cancelled_at = now() where id = :id", id=made)


# ---------------------------------------------------------------- blockers


def test_a_directory_without_clients(api: Api) -> None:
    found = check(api)
    assert types(found) == ["nobody"]
    assert found["audience"]["clients"] == 0
    assert found["audience"]["tags"] == []


def test_an_end_that_has_passed(api: Api, directory: Books) -> None:
    assert types(check(api, starts_at=from_now(-2 * HOUR), ends_at=from_now(-HOUR))) == ["end_passed"]


def test_everybody_is_suppressed(api: Api, directory: Books) -> None:
    directory.run("update clients set suppression_id = id")
    found = check(api)
    assert types(found) == ["all_skipped"]
    assert found["overlap"] == {"clients": 0, "within": 0, "mailings": []}


def closed_now(zone: str, hours: int = 3) -> dict[str, str]:
    """A window of an hour that opens in a zone only in so many hours."""
    local = datetime.now(UTC).astimezone(hours_of(Window(time(0), time(1)), zone)._zone) + timedelta(hours=hours)
    return {"from": f"{local.hour:02}:00", "until": f"{(local.hour + 1) % 24:02}:00"}


def test_a_window_that_opens_for_nobody_before_the_end(api: Api, books: Books) -> None:
    books.clients(2, timezone=OMSK)
    window = closed_now(OMSK, 6)
    values = {"starts_at": from_now(-HOUR), "ends_at": from_now(2 * HOUR), "send_window": window}
    found = check(api, **values)
    assert types(found) == ["no_zone_opens"]
    assert found["audience"]["hours"] == []
    books.clients(1, timezone=OMSK)
    assert types(check(api, **values | {"send_window": None})) == []


def test_a_window_that_opens_for_some(api: Api, directory: Books) -> None:
    found = check(api, starts_at=from_now(-HOUR), ends_at=from_now(2 * HOUR), send_window=closed_now(OMSK, 0))
    assert types(found) == []
    assert types(found, "warnings")[0] == "zones_closed"
    assert "3 clients get nothing" in found["warnings"][0]["message"]
    assert [one["opens_at"] is None for one in found["audience"]["timezones"]] == [False, True]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"segments": [5]}, "There is no segment 5."),
        ({"imports": [5]}, "There is no import 5; they are kept for 90 days."),
        ({"exclude": {"mailings": [5]}}, "There is no mailing 5, or its messages are not kept any more."),
        ({"exclude": {"segments": [6], "imports": [7]}}, "There is no segment 6."),
    ],
)
def test_names_of_what_is_not_there(api: Api, directory: Books, wanted: Any, sentence: str) -> None:
    found = check(api, filter=wanted)
    assert types(found) == ["unknown_in_filter"]
    assert found["blockers"][0]["message"].startswith(sentence.partition(";")[0])
    assert found["audience"] is None
    assert "uncounted" not in types(found, "warnings")


# ---------------------------------------------------------------- warnings


def test_characters_that_cost(api: Api, directory: Books) -> None:
    found = check(api, text="Our shop in Tverskaya street opens at noon \u2013 come and see what is new for you today!")
    assert "ucs2" in types(found, "warnings")
    assert (found["text"]["encoding"], found["text"]["parts"], found["text"]["better"]) == ("ucs-2", 2, 1)
    assert [(one["character"], one["places"], one["write"]) for one in found["text"]["characters"]] == [
        ("\u2013", [44], "-")
    ]


def test_a_text_of_2000_astral_characters(api: Api, directory: Books) -> None:
    found = check(api, text="😀" * 2000)
    assert (found["text"]["parts"], found["text"]["units"], len(found["text"]["characters"])) == (61, 4000, 1)
    assert {"ucs2", "many_parts"} <= set(types(found, "warnings"))


def test_who_gets_another_mailing_too(api: Api, directory: Books) -> None:
    other = directory.mailing(tags=["vip"])
    directory.launch(other)
    own = api.make("/mailings/", mailing(starts_at=from_now(HOUR)))["id"]
    expected = {"clients": 6, "within": 0, "mailings": [{"mailing_id": other, "clients": 6, "within": 0}]}
    assert api.get(f"/mailings/{own}/preflight/")["overlap"] == expected
    found = check(api, filter={"timezones": [MOSCOW]})
    assert found["overlap"]["clients"] == 3
    assert "overlap" in types(found, "warnings")
    directory.run("update mailings set paused_at = now() where id = :id", id=other)
    assert check(api)["overlap"]["clients"] == 0


def test_how_fast_it_would_go(engine: Engine, directory: Books) -> None:
    api = Api(engine, dispatch_rate=2.0)
    found = check(api)["pace"]
    assert (found["dispatchers"], found["rate"], found["rate_from"], found["ahead"]) == (0, 2.0, "limit", 0)
    assert (found["seconds"], found["fits"]) == (pytest.approx(4), True)
    directory.run(
        "insert into dispatcher_paces values ('a', 0.25, now()), ('b', 0.25, now()), ('c', 9, now() - interval '1 h')"
    )
    found = check(api)
    assert (found["pace"]["dispatchers"], found["pace"]["rate"], found["pace"]["rate_from"]) == (2, 0.5, "pace")
    assert found["pace"]["seconds"] == pytest.approx(16)
    assert "no_dispatcher" not in types(found, "warnings")
    late = check(api, ends_at=(datetime.now(UTC) + HOUR + timedelta(seconds=10)).isoformat())
    assert late["pace"]["fits"] is False
    assert "misses_end" in types(late, "warnings")


def test_what_goes_before_it(engine: Engine, directory: Books) -> None:
    """At half a message a second, of which a tenth is left while the other one has messages."""
    api = Api(engine, dispatch_rate=0.5)
    directory.launch(directory.mailing(tags=["vip"], ends=30 * timedelta(minutes=1)))
    now = {"starts_at": from_now(-HOUR), "ends_at": from_now(HOUR)}
    found = check(api, **now)["pace"]
    assert found["ahead"] == 6
    assert found["seconds"] == pytest.approx((6 + 8) / 0.5, rel=0.1)
    assert check(api, **now, priority="urgent")["pace"]["ahead"] == 0
    assert check(api, **now | {"ends_at": from_now(20 * timedelta(minutes=1))})["pace"]["ahead"] == 0
    assert check(api)["pace"]["seconds"] == pytest.approx(16)  # it starts in an hour, when those are sent


def test_the_fastest_of_the_last_large_mailings_says_how_fast_it_goes_while_all_rest(
    api: Api, directory: Books
) -> None:
    assert check(api)["pace"]["rate"] is None
    for sent, seconds in ((1500, 10), (3000, 10), (900, 1)):
        mailing_id = directory.mailing()
        directory.run(
            """insert into mailing_counters (mailing_id, slot, sent, first_sent_at, last_sent_at)
               values (:id, 1, :sent, now() - make_interval(secs => :seconds), now())""",
            id=mailing_id, sent=sent, seconds=seconds,
        )  # fmt: skip
        directory.run("update mailings set finished_at = now(), audience = :sent where id = :id",
                      id=mailing_id, sent=sent)  # fmt: skip
    found = check(api)["pace"]
    assert (found["rate"], found["rate_from"]) == (pytest.approx(300), "history")


def test_phones_that_were_issued_elsewhere(engine: Engine, books: Books) -> None:
    api = Api(engine, default_timezone=MOSCOW)
    for phone, zone in ((79009210000, MOSCOW), (79009210001, OMSK), (79002290000, MOSCOW), (79000000000, MOSCOW)):
        books.run(
            "insert into clients (phone, operator_code, timezone) values (:phone, '900', :zone)", phone=phone, zone=zone
        )
    found = check(api, send_window={"from": "09:00", "until": "21:00"}, ends_at=from_now(48 * HOUR))
    origins = found["origins"]
    assert (origins["timezone"], origins["clients"], origins["ambiguous"]["clients"]) == (MOSCOW, 3, 1)
    assert origins["suggested"] == [{"timezone": "Asia/Tomsk", "clients": 1, "within": 0}]
    assert [(one["operator"], one["clients"]) for one in origins["operators"]] == [("Т2 МОБАЙЛ", 3)]
    assert "other_zone" in types(found, "warnings")
    assert books.run("select distinct timezone from clients order by 1")[-1].timezone == MOSCOW


# ---------------------------------------------------------------- personal texts


@pytest.fixture
def named(directory: Books) -> Books:
    """Of eight clients who get it five have a name, one of them a long one, and two are in a city."""
    directory.run("update clients set attributes = jsonb_build_object('name', 'N' || id) where id between 2 and 5")
    directory.run("""update clients set attributes = jsonb_build_object('name', repeat('я', 100)) where id = 6""")
    directory.run("""update clients set attributes = attributes || '{"city": "Omsk"}' where id in (2, 7)""")
    return directory


def test_what_a_template_makes_of_the_values_that_people_have(api: Api, named: Books) -> None:
    found = check(api, text="Hello, {{ name }}")
    assert found["text"]["personal"] == {
        "looked_at": 8,
        "names": ["name"],
        "unknown_names": [],
        "skipped": [{"reason": "missing_value", "clients": 3, "within": 0}],
        "by_parts": [{"parts": 1, "clients": 4, "within": 0}, {"parts": 2, "clients": 1, "within": 0}],
        "better": None,
    }
    assert (found["text"]["parts"], found["text"]["total"]) == (2, {"sms": 6, "within": 0})
    assert "missing_value" in types(found, "warnings")


def test_what_it_makes_is_what_is_sent(api: Api, named: Books) -> None:
    for template in ("Hi {{ name }}", "{% if city %}{{ name | upcase }}{% endif %}", "{{ name | default: 'x' }}"):
        found = check(api, text=template, starts_at=from_now(-HOUR))["text"]["personal"]
        made = api.make("/mailings/", mailing(text=template, starts_at=from_now(-HOUR)))["id"]
        named.launch(made)
        named.prove(made)
        sent = named.claim(made, named.due(made))
        assert sum(one["clients"] for one in found["by_parts"]) == len(sent)
        assert sum(one["clients"] for one in found["skipped"]) == named.states(made)["skipped"] - 1


def test_a_template_that_asks_for_what_nobody_has(api: Api, named: Books) -> None:
    found = check(api, text="Hello, {{ naem }} of {{ name }}")
    assert types(found) == ["all_skipped"]
    assert types(found, "warnings")[-1] == "unknown_name"
    found = check(api, text="Hello, {{ naem | default: 'friend' }}")
    assert types(found) == []
    assert (found["text"]["total"], found["text"]["personal"]["unknown_names"]) == ({"sms": 8, "within": 0}, ["naem"])


def test_a_template_with_a_sign_that_costs(api: Api, named: Books) -> None:
    found = check(api, text="{{ city | default: 'Home' }} \u2013 " + "a" * 80)
    assert found["text"]["total"] == {"sms": 16, "within": 0}
    assert found["text"]["personal"]["better"] == {"sms": 8, "within": 0}
    assert "ucs2" in types(found, "warnings")


def test_texts_that_take_long_are_made_for_fewer(api: Api, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.clients(3000)
    monkeypatch.setattr(preflight_texts, "SECONDS", 0.05)
    found = check(api, text="{% for i in (1..60) %}{{ name | default: 'x' | upcase }}{% endfor %}")
    personal = found["text"]["personal"]
    assert 0 < personal["looked_at"] < 3000
    assert personal["by_parts"] == [{"parts": 1, "clients": 3000, "within": personal["by_parts"][0]["within"]}]
    assert personal["by_parts"][0]["within"] > 0
    assert found["text"]["total"] == {"sms": 3000, "within": 0}


# ---------------------------------------------------------------- how it looks


def test_it_changes_nothing(api: Api, directory: Books) -> None:
    stored = api.make("/mailings/", mailing())["id"]
    before = api.contents(), api.execute("select count(*) from audit"), list(api.announced)
    check(api, filter=EVERYONE)
    api.get(f"/mailings/{stored}/preflight/")
    assert (api.contents(), api.execute("select count(*) from audit"), api.announced) == before


def test_of_many_it_looks_at_some_and_says_how_sure_that_is(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_store, "SAMPLE", 400)
    books.clients(4000, tag="got")
    books.launch(books.mailing(tags=["got"]))
    books.clients(4000, tag="not")
    found = check(api)["overlap"]
    assert (found["within"], found["mailings"][0]["within"]) == (392, 392)
    assert abs(found["clients"] - 4000) < 3 * 392
    assert check(api)["overlap"] == found


def test_what_takes_too_long_is_left_out(api: Api, directory: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the whole directory."""
    monkeypatch.setattr(preflight_store, "SECONDS", 0.2)
    with api.engine.connect() as other, other.begin():
        other.exec_driver_sql("lock table clients in access exclusive mode")
        found = check(api)
    assert (found["audience"], found["overlap"], found["origins"]) == (None, None, None)
    assert types(found) == []
    assert "uncounted" in types(found, "warnings")
    assert found["text"]["parts"] == 1
    assert check(api)["audience"]["clients"] == 9


def test_where_there_are_too_many_tags_nobody_is_counted_by_them(api: Api, books: Books) -> None:
    books.run(
        """insert into clients (phone, operator_code, tag, timezone)
           select 79000000000 + n, '900', 'tag ' || n % 1001, 'UTC' from generate_series(1, 1001) n"""
    )
    found = check(api)["audience"]
    assert (found["clients"], found["tags"], found["other_tags"]) == (1001, None, 1001)
    books.run("delete from clients where id = 1")
    found = check(api)["audience"]
    assert (len(found["tags"]), found["other_tags"]) == (100, 900)


@pytest.mark.parametrize(
    ("values", "at_fault"),
    [
        ({"text": ""}, {"text"}),
        ({"ends_at": from_now(HOUR / 2)}, {"ends_at"}),
        ({"nonsense": 1}, {"nonsense"}),
        ({"filter": {"tags": ["x"] * 1001}}, {"filter"}),
        ({"send_window": {"from": "09:00", "until": "09:00"}}, {"send_window"}),
    ],
)
def test_what_is_no_mailing_is_not_looked_at(api: Api, values: dict[str, Any], at_fault: set[str]) -> None:
    answer = api("POST", "/mailings/preflight/", mailing(**values))
    assert (answer.status, answer.at_fault) == (422, at_fault)


def test_a_filter_with_a_thousand_values_of_each_kind(api: Api, directory: Books) -> None:
    """In segments that name it again and again."""
    wide = {
        "operator_codes": [f"{n:03}" for n in range(1000)],
        "tags": ["vip", *(f"{n}" for n in range(999))],
        "attributes": {f"name {n}": [f"'; drop table clients; -- {i}" for i in range(40)] for n in range(20)},
    }
    inner = api.make("/segments/", {"name": "wide", "filter": wide})["id"]
    for _ in range(8):
        inner = api.make("/segments/", {"name": "wider", "filter": {"exclude": {"segments": [inner]}}})["id"]
    assert check(api, filter={"segments": [inner]})["audience"]["clients"] == 0


def test_one_that_has_started_is_not_looked_at(api: Api, directory: Books) -> None:
    begun = api.make("/mailings/", mailing(starts_at=from_now(-HOUR)))["id"]
    assert api("GET", f"/mailings/{begun}/preflight/").status == 200
    api.launch(begun)
    answer = api("GET", f"/mailings/{begun}/preflight/")
    assert (answer.status, answer.json["type"]) == (409, "too-late")
    assert api("GET", "/mailings/99/preflight/").status == 404
