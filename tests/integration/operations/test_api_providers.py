"""/providers/: what dispatchers see of them, and what a person says."""

import json

import pytest
from sqlalchemy import Engine, text

from shared import lanes
from shared.domain.lanes import Entry
from tests.support.api import Answer, Api, mailing
from tests.support.superuser import superuser

QUIET = {
    "open": None,
    "open_for": 0,
    "pace": None,
    "speed": 50.0,
    "calls": 500,
    "failed": 1,
    "seconds": 5.0,
    "full": False,
}
DOWN = QUIET | {"open": "timed_out", "open_for": 4.0, "speed": 0.0, "calls": 3, "failed": 3}


@pytest.fixture
def api(engine: Engine) -> Api:
    with engine.begin() as connection:
        lanes.register(connection, [Entry("east", 3), Entry("west", 1)])
    return Api(engine)


def note(engine: Engine, dispatcher: str, **seen: object) -> None:
    with superuser(engine) as connection:
        connection.execute(
            text("insert into dispatcher_paces (dispatcher, pace, providers, noted_at) values (:d, 1, :seen, now())"),
            {"d": dispatcher, "seen": json.dumps(seen)},
        )


def by_name(answer: Answer) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in answer.json}


def test_what_dispatchers_see(api: Api, engine: Engine) -> None:
    assert {one["state"] for one in api("GET", "/providers/").json} == {"unseen"}
    note(engine, "a", east=QUIET | {"pace": 80.0}, west=DOWN)
    note(engine, "b", east=QUIET, west=DOWN | {"open_for": 9.0})
    found = by_name(api("GET", "/providers/"))
    east, west = found["east"], found["west"]
    assert (east["state"], east["pace"], east["known_limit"], east["share"]) == ("up", 100.0, 80.0, 1.0)
    assert (west["state"], west["down_because"], west["share"], west["failed"]) == ("down", "timed_out", 0.0, 6)
    assert west["since"] is not None
    assert west["dispatchers_down"] == west["dispatchers"] == 2
    assert api("GET", "/providers/east/").json == east


def test_shares_by_weight(api: Api, engine: Engine) -> None:
    note(engine, "a", east=QUIET, west=QUIET)
    assert {one["name"]: one["share"] for one in api("GET", "/providers/").json} == {"east": 0.75, "west": 0.25}
    assert api("PATCH", "/providers/west/", {"weight": 9}).json["weight"] == 9
    assert {one["name"]: one["share"] for one in api("GET", "/providers/").json} == {"east": 0.25, "west": 0.75}
    with engine.begin() as connection:
        lanes.share_out(connection, {"west": 10})
    found = by_name(api("GET", "/providers/"))
    assert found["west"]["counts"] == 0.1
    assert found["east"]["share"] == pytest.approx(3 / 3.9, abs=0.001)


def test_a_pause_is_seen_audited_and_taken_back(api: Api, engine: Engine) -> None:
    note(engine, "a", east=QUIET, west=QUIET)
    first = api("GET", "/providers/west/")
    paused = api("PATCH", "/providers/west/", {"paused": True}, headers={"If-Match": first.headers["ETag"]})
    assert (paused.json["state"], paused.json["paused"], paused.json["revision"]) == ("paused", True, 2)
    assert api("PATCH", "/providers/west/", {"paused": True}).json["revision"] == 2  # repeating it is harmless
    late = api("PATCH", "/providers/west/", {"weight": 5}, headers={"If-Match": first.headers["ETag"]})
    assert late.status == 412
    assert by_name(api("GET", "/providers/"))["east"]["share"] == 1.0
    assert api("PATCH", "/providers/west/", {"paused": False}).json["state"] == "up"
    lines = api("GET", "/audit/?thing=provider&thing_id=west").json
    assert [(one["action"], one["after"]) for one in lines] == [
        ("change", {"paused": True}), ("change", {"paused": False}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"weight": -1},
        {"weight": 0.5},
        {"weight": None},
        {"paused": "yes"},
        {"paused": 1},
        {"name": "x"},
        {"share": 1},
        [],
    ],
)
def test_bad_input_changes_nothing(api: Api, body: object) -> None:
    before = api("GET", "/providers/west/").json
    assert api("PATCH", "/providers/west/", body).status == 422
    assert api("GET", "/providers/west/").json == before


def test_who_is_not_there(api: Api, engine: Engine) -> None:
    with engine.begin() as connection:
        lanes.register(connection, [Entry("east")])
    assert [one["name"] for one in api("GET", "/providers/").json] == ["east"]
    for name in ("west", "north"):
        assert api("GET", f"/providers/{name}/").status == 404
        assert api("PATCH", f"/providers/{name}/", {"paused": True}).status == 404


def test_a_mailing_names_one_that_is_known(api: Api, engine: Engine) -> None:
    made = api("POST", "/mailings/", mailing(provider="west"))
    assert (made.status, made.json["provider"]) == (201, "west")
    unknown = api("POST", "/mailings/", mailing(provider="north"))
    assert unknown.status == 422
    assert unknown.at_fault == {"provider"}
    assert api("PATCH", f"/mailings/{made.json['id']}/", {"provider": "north"}).status == 422
    assert api("PATCH", f"/mailings/{made.json['id']}/", {"provider": None}).json["provider"] is None
