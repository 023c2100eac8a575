"""Drafts: nothing happens until they are started, whatever their times say."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from dispatcher_service.leading.chores.show_figures import ShowFigures
from dispatcher_service.leading.walk import look
from shared.messages.hints import mend_hints
from tests.support.api import EVERYONE, HOUR, Api, from_now, mailing, running
from tests.support.books import Books
from tests.support.leading import Consumer, Start
from tests.support.plans import explain, pages

pytest_plugins = ("tests.support.api_fixture",)

MANY = 10_000


def draft(api: Api, **values: Any) -> str:
    """The path of a new one; there is somebody whom it is for."""
    api("POST", "/clients/", {"phone": "79120000001"})
    return f"/mailings/{api.make('/mailings/', {'text': 'Hello', 'draft': True, **values})['id']}/"


def test_a_draft_says_what_it_has(api: Api) -> None:
    path = draft(api, name=" Spring \u2009sale\u00a0")
    made = api.get(path)
    assert (made["name"], made["draft"], made["state"]) == ("Spring \u2009sale", True, "draft")
    assert (made["starts_at"], made["ends_at"], made["paused_because"]) == (None, None, None)
    assert api.announced == []
    assert [one["id"] for one in api.get("/mailings/?state=draft")] == [made["id"]]
    api.assert_balanced()


def test_a_draft_is_changed_as_long_as_it_is_one(api: Api) -> None:
    path = draft(api)
    assert api("PATCH", path, {"ends_at": from_now(-HOUR)}).status == 200  # it may have passed
    assert api("PATCH", path, {"starts_at": from_now(HOUR)}).at_fault == {"starts_at"}  # what is there makes sense
    times = {"starts_at": "2090-01-01T00:00:00+00:00", "ends_at": "2090-01-02T00:00:00+00:00"}
    changed = api("PATCH", path, {**times, "filter": {"tags": ["vip"]}, "text": "Another"}).json
    assert changed.items() >= {**times, "text": "Another", "state": "draft", "revision": 3}.items()
    assert api("PUT", path, changed).json == changed
    assert api("PUT", path, {"text": "Hello"}).json["starts_at"] is None
    assert api("PATCH", path, {"draft": False}).at_fault == {"draft"}


@pytest.mark.parametrize("values", [{}, {"starts_at": from_now(HOUR)}, {"starts_at": None, "ends_at": None}])
def test_what_is_no_draft_has_times(api: Api, values: dict[str, Any]) -> None:
    body = {"text": "Hello", **values}
    missing = {name for name in ("starts_at", "ends_at") if values.get(name) is None}
    assert api("POST", "/mailings/", body).at_fault == missing
    path = f"/mailings/{api.make('/mailings/', mailing())['id']}/"
    assert api("PUT", path, body).at_fault == missing
    if given := {name: None for name in values if values[name] is None}:
        assert api("PATCH", path, given).at_fault == given.keys()


@pytest.mark.parametrize(
    "values",
    [{"draft": "true"}, {"draft": 1}, {"draft": None}, {"name": "x" * 101}, {"name": None}, {"name": 5}],
)
def test_what_a_draft_may_not_say(api: Api, values: dict[str, Any]) -> None:
    assert api("POST", "/mailings/", {"text": "Hello", "draft": True} | values).at_fault == values.keys()


def test_a_draft_that_is_started_is_a_mailing_as_any_other(api: Api) -> None:
    path = draft(api, starts_at=from_now(-HOUR), ends_at=from_now(HOUR))
    mailing_id = api.get(path)["id"]
    assert api.launch(mailing_id) == 0
    started = api("POST", f"{path}start/")
    assert (started.status, started.json["state"], started.json["draft"]) == (200, "running", False)
    assert (started.headers["ETag"], started.json["revision"]) == ('"2"', 2)
    assert api.announced == [mailing_id]
    assert api.launch(mailing_id) == 1
    again = api("POST", f"{path}start/")
    assert (again.status, again.json["revision"]) == (200, 2)
    actions = [one["action"] for one in api.get(f"/audit/?thing=mailing&thing_id={mailing_id}")]
    assert actions == ["create", "start"]
    api.assert_balanced()


@pytest.mark.parametrize(
    ("values", "blamed"),
    [
        ({}, {"starts_at", "ends_at"}),
        ({"starts_at": from_now(HOUR)}, {"ends_at"}),
        ({"ends_at": from_now(HOUR)}, {"starts_at"}),
        ({"starts_at": from_now(-2 * HOUR), "ends_at": from_now(-HOUR)}, {"ends_at"}),
    ],
)
def test_what_stands_in_the_way_of_a_start_is_said(api: Api, values: dict[str, str], blamed: set[str]) -> None:
    path = draft(api, **values)
    answer = api("POST", f"{path}start/")
    assert (answer.status, answer.json["type"], answer.at_fault) == (409, "blocked", blamed)
    assert api.get(path)["state"] == "draft"


def test_a_draft_of_which_nobody_would_get_anything_is_not_started(api: Api) -> None:
    """Whatever a look at it beforehand calls a blocker."""
    path = draft(api, filter={"tags": ["nobody"]}, starts_at=from_now(HOUR), ends_at=from_now(2 * HOUR))
    blockers = {one["type"] for one in api.get(f"{path}preflight/")["blockers"]}
    answer = api("POST", f"{path}start/")
    assert (answer.status, answer.json["type"], answer.at_fault) == (409, "blocked", blockers)
    assert blockers == {"nobody"}
    assert api("PATCH", path, {"filter": {}}).status == 200
    assert api("POST", f"{path}start/").status == 200


def test_a_draft_without_times_cannot_be_looked_at_beforehand(api: Api) -> None:
    answer = api("GET", f"{draft(api)}preflight/")
    assert (answer.status, answer.at_fault) == (409, {"starts_at", "ends_at"})
    assert api("POST", "/mailings/preflight/", {"text": "Hello"}).at_fault == {"starts_at", "ends_at"}


def test_what_is_over_cannot_be_started(api: Api) -> None:
    path = f"/mailings/{api.make('/mailings/', running())['id']}/"
    assert api("POST", f"{path}start/").status == 200  # it never was a draft, which is harmless
    api("POST", f"{path}cancel/")
    assert api("POST", f"{path}start/").json["type"] == "too-late"


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_draft_can_be_neither_paused_nor_resumed(api: Api, action: str) -> None:
    path = draft(api, starts_at=from_now(-HOUR), ends_at=from_now(HOUR))
    assert api("POST", f"{path}{action}/").json["type"] == "draft"
    assert api.get(path)["state"] == "draft"


@pytest.mark.parametrize(
    "remove", [lambda api, path: api("POST", f"{path}cancel/"), lambda api, path: api("DELETE", path)]
)
def test_a_draft_that_nobody_wants_is_over_at_once(api: Api, remove: Callable[[Api, str], Any]) -> None:
    path = draft(api)
    assert remove(api, path).status in (200, 204)
    assert api.execute("select finished_at = cancelled_at from mailings") is True
    if api("GET", path).status == 200:
        assert api.get(path)["state"] == "cancelled"
        assert api("POST", f"{path}cancel/").status == 200
        assert api("POST", f"{path}start/").status == 409
        assert api("DELETE", path).status == 204
    assert api.get("/mailings/general_statistics/")["audience"] == 0
    api.assert_balanced()


def test_a_start_is_of_what_somebody_has_seen(api: Api) -> None:
    path = draft(api, starts_at=from_now(HOUR), ends_at=from_now(2 * HOUR))
    seen = {"If-Match": '"1"'}
    assert api("PATCH", path, {"text": "Another"}).status == 200
    assert api("POST", f"{path}start/", headers=seen).status == 412
    assert api("POST", f"{path}start/", headers={"If-Match": '"2"'}).status == 200
    assert api("PATCH", path, {"text": "A third"}, headers={"If-Match": '"2"'}).status == 412  # it is no draft any more


def test_a_draft_changed_and_started_at_the_same_moment(api: Api) -> None:
    """Whoever comes second has seen what is no more: what is started is what was seen, or nothing is."""
    for _ in range(5):
        path = draft(api, starts_at=from_now(HOUR), ends_at=from_now(2 * HOUR))
        answers: dict[str, int] = {}
        together = threading.Barrier(2)

        def ask(name: str, method: str, to: str, body: Any) -> None:
            together.wait()  # noqa: B023
            answers[name] = api(method, to, body, headers={"If-Match": '"1"'}).status  # noqa: B023

        threads = [
            threading.Thread(target=ask, args=("change", "PATCH", path, {"text": "Another"})),
            threading.Thread(target=ask, args=("start", "POST", f"{path}start/", None)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers.values()) == [200, 412]
        found = api.get(path)
        assert (found["state"], found["text"]) == (
            ("draft", "Another") if answers["start"] == 412 else ("scheduled", "Hello")
        )


def test_a_clone_is_a_draft_that_is_the_same_but_for_its_times(api: Api) -> None:
    segment = api.make("/segments/", {"name": "VIP", "filter": {"tags": ["vip"]}})["id"]
    filter_ = {"segments": [segment], "exclude": {"tags": ["new"]}}
    window = {"from": "09:00", "until": "21:00"}
    source = api.make(
        "/mailings/",
        running(name="Sale", text="Go", filter=filter_, send_window=window, priority="bulk", reference="crm-1"),
    )
    api("PATCH", f"/segments/{segment}/", {"filter": {"tags": ["gold"]}})
    api("POST", f"/mailings/{source['id']}/cancel/")
    clone = api.make(f"/mailings/{source['id']}/clone/", None)
    same = ("name", "text", "filter", "send_window", "priority")
    assert {name: clone[name] for name in same} == {name: source[name] for name in same}
    assert (clone["state"], clone["starts_at"], clone["ends_at"], clone["reference"]) == ("draft", None, None, None)
    assert (clone["revision"], clone["fixed_segments"][0]["revision"]) == (1, 2)
    assert api("POST", f"/mailings/{source['id']}/clone/").status == 201
    assert api("POST", "/mailings/77/clone/").status == 404
    (noted,) = api.get(f"/audit/?thing=mailing&thing_id={clone['id']}")
    assert (noted["action"], noted["after"]["draft"]) == ("create", True)


def test_a_filter_that_names_what_is_gone_is_not_cloned(api: Api) -> None:
    segment = api.make("/segments/", {"name": "VIP", "filter": {"tags": ["vip"]}})["id"]
    source = api.make("/mailings/", mailing(filter={"segments": [segment]}))["id"]
    api("POST", f"/mailings/{source}/cancel/")
    assert api("DELETE", f"/segments/{segment}/").status == 204
    answer = api("POST", f"/mailings/{source}/clone/")
    assert (answer.status, answer.json["type"], answer.at_fault) == (409, "gone", {"filter"})
    assert len(api.get("/mailings/")) == 1


def test_what_a_draft_names_stays(api: Api) -> None:
    segment = api.make("/segments/", {"name": "VIP", "filter": {"tags": ["vip"]}})["id"]
    path = draft(api, filter={"segments": [segment]})
    assert api("DELETE", f"/segments/{segment}/").json["type"] == "in-use"
    assert api("PATCH", path, {"filter": EVERYONE}).status == 200
    assert api("DELETE", f"/segments/{segment}/").status == 204


@pytest.fixture
def drafts(books: Books) -> Books:
    """Many of which start and end have passed, and some without times."""
    books.run(
        """insert into mailings (text, draft, paused_at, closed_at, starts_at, ends_at)
           select 'Hello', true, now(), now(),
               case when n % 3 > 0 then now() - interval '2 h' end, case when n % 3 > 1 then now() - interval '1 h' end
           from generate_series(1, :many) n""",
        many=MANY,
    )
    books.move(lambda _, entries: entries.shown(MANY))
    return books


def test_drafts_cost_the_leader_nothing(drafts: Books) -> None:
    """However many there are and whatever their times say: what its looks and rounds read does not grow."""
    read: list[int] = []

    def see(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().lower().startswith(("select", "with")) and "mailings" in statement:
            read.append(pages(explain(connection, statement, values)[0]))

    event.listen(drafts.engine, "before_cursor_execute", see)
    try:
        with drafts.engine.connect() as connection:
            assert look(connection).mailings == []
        assert drafts.move(lambda connection, entries: mend_hints(connection, entries, 0, 100)).last == 0
        row = drafts.move(lambda connection, entries: ShowFigures()._read(connection, entries))
        assert (row.number, row.paused, row.running, row.scheduled) == (0, 0, 0, 0)
    finally:
        event.remove(drafts.engine, "before_cursor_execute", see)
    assert len(read) >= 4
    assert max(read) < 50


def test_no_draft_is_launched_whatever_its_times_say(drafts: Books, start: Start, consumer: Consumer) -> None:
    drafts.clients(3)
    mailing_id = drafts.mailing()
    start()
    piece = consumer.job()
    assert piece is not None
    assert (piece.mailing_id, len(piece.message_ids)) == (mailing_id, 3)
    assert drafts.run("select count(distinct mailing_id) from messages")[0][0] == 1
    assert drafts.run("select count(*) from mailings where draft and finished_at is null")[0][0] == MANY
