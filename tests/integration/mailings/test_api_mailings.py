"""Mailings over HTTP: from their creation to their end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.support.api import EVERYONE, HOUR, Answer, Api, from_now, mailing, running

pytest_plugins = ("tests.support.api_fixture",)

NIGHT = {"from": "22:00", "until": "06:00"}


def over(api: Api, **values: Any) -> str:
    """The path of a mailing whose end has passed."""
    path = make(api, **values)
    api.execute("update mailings set starts_at = now() - interval '2 h', ends_at = now() - interval '1 s'")
    return path


def make(api: Api, **values: Any) -> str:
    """The path of a new mailing."""
    return f"/mailings/{api.make('/mailings/', mailing(**values))['id']}/"


def started(api: Api, **values: Any) -> str:
    return make(api, **{"starts_at": from_now(-HOUR), **values})


def finished(api: Api) -> str:
    path = started(api)
    api.execute("update mailings set finished_at = now()")
    return path


def cancelled(api: Api) -> str:
    path = started(api)
    assert api("POST", f"{path}cancel/").status == 200
    return path


def paused(api: Api) -> str:
    path = started(api)
    assert api("POST", f"{path}pause/").status == 200
    return path


Path = Callable[[Api], str]


def test_a_mailing_is_stored_as_it_was_sent(api: Api) -> None:
    made = api.make(
        "/mailings/",
        {
            "text": "Привет 👋",
            "starts_at": "2090-01-31T09:00:00.250+03:00",
            "ends_at": "2090-01-31T21:00:00Z",
            "filter": {"operator_codes": ["926", "912", "926"], "tags": ["vip", ""]},
            "send_window": NIGHT,
            "priority": "bulk",
        },
    )
    created_at = datetime.fromisoformat(made.pop("created_at"))
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    states = ("pending", "sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled", "skipped")
    assert made == {
        "id": made["id"],
        "name": "",
        "text": "Привет 👋",
        "sender": None,
        "draft": False,
        "starts_at": "2090-01-31T06:00:00.250000+00:00",
        "ends_at": "2090-01-31T21:00:00+00:00",
        "filter": EVERYONE | {"operator_codes": ["912", "926"], "tags": ["", "vip"]},
        "fixed_segments": [],
        "send_window": NIGHT,
        "retry_of": None,
        "retry_states": [],
        "retry_errors": [],
        "reference": None,
        "revision": 1,
        "priority": "bulk",
        "test": False,
        "state": "scheduled",
        "paused_because": None,
        "provider_words": None,
        "statistics": {"audience": 0} | dict.fromkeys(states, 0),
        "waiting_because": [{"cause": "start", "count": None, "until": "2090-01-31T06:00:00.250000+00:00"}],
        "finishes_at": None,
        "finishes_in_time": None,
    }
    found = api.get(f"/mailings/{made['id']}/")
    assert found | {"created_at": None} == made | {"created_at": None}
    assert api.get("/mailings/") == [found]


def test_without_a_filter_it_is_for_everyone_at_any_hour(api: Api) -> None:
    made = api.make("/mailings/", mailing())
    assert (made["filter"], made["send_window"], made["priority"]) == (EVERYONE, None, "normal")
    half = api.make("/mailings/", mailing(filter={"tags": ["vip"]}, send_window=None))
    assert half["filter"] == EVERYONE | {"tags": ["vip"]}


def test_a_mailing_reaches_those_who_match_both_lists(api: Api) -> None:
    for phone, tag in (("79120000001", "vip"), ("79120000002", ""), ("79260000003", "vip")):
        api.make("/clients/", {"phone": phone, "tag": tag})

    def audience(**chosen: list[str]) -> int:
        return api.launch(api.make("/mailings/", running(filter=chosen))["id"])

    assert audience() == 3
    assert audience(operator_codes=["912"]) == 2
    assert audience(tags=["vip"]) == 2
    assert audience(tags=["", "vip"]) == 3
    assert audience(operator_codes=["912", "999"], tags=["vip"]) == 1


def test_every_new_mailing_is_announced_once_it_is_stored(api: Api) -> None:
    ids = [api.make("/mailings/", body)["id"] for body in (mailing(), running())]
    assert api.announced == ids
    assert api("POST", "/mailings/", mailing(text="")).status == 422
    assert api.announced == ids


def test_a_scheduled_mailing_can_change_altogether(api: Api) -> None:
    path = make(api)
    body = {
        "text": "Another",
        "starts_at": "2090-02-01T00:00:00+00:00",
        "ends_at": "2090-02-02T00:00:00+00:00",
        "filter": EVERYONE | {"operator_codes": ["912"]},
        "send_window": NIGHT,
        "priority": "urgent",
    }
    assert api("PATCH", path, body).status == 200
    assert api.get(path).items() >= body.items()
    assert api("PUT", path, {name: body[name] for name in ("text", "starts_at", "ends_at")}).status == 200
    assert api.get(path).items() >= (body | {"filter": EVERYONE, "send_window": None, "priority": "normal"}).items()
    assert api.execute("select window_changed from mailings") is False  # nothing waits for the old window yet


def test_a_patch_replaces_the_filter_whole(api: Api) -> None:
    path = make(api, filter={"operator_codes": ["912"], "tags": ["vip"]})
    changed = api("PATCH", path, {"filter": {"tags": ["new"]}})
    assert (changed.status, changed.json["filter"]) == (200, EVERYONE | {"tags": ["new"]})


OTHER = {
    "text": "Another",
    "starts_at": "2090-01-01T00:00:00Z",
    "ends_at": "2090-02-01T00:00:00Z",
    "filter": {"tags": ["new"]},
    "send_window": NIGHT,
}
FROZEN = {"text", "filter", "starts_at"}


@pytest.mark.parametrize(
    ("path", "frozen"),
    [
        (make, set()),
        (started, FROZEN),
        (paused, FROZEN),
        (over, set(OTHER)),
        (finished, set(OTHER)),
        (cancelled, set(OTHER)),
    ],
)
def test_what_may_change_in_which_state(api: Api, path: Path, frozen: set[str]) -> None:
    target = path(api)
    before = api.contents()
    for name in OTHER.keys() & frozen:
        answer = api("PATCH", target, {name: OTHER[name]})
        assert (answer.status, answer.at_fault) == (409, {name})
    if frozen:
        answer = api("PUT", target, OTHER)
        assert (answer.status, answer.at_fault) == (409, frozen)
    assert api.contents() == before
    # ends_at first: starts_at must lie before it
    for name in sorted(OTHER.keys() - frozen):
        answer = api("PATCH", target, {name: OTHER[name]})
        assert answer.status == 200
        assert answer.json[name] != mailing(filter=EVERYONE, send_window=None)[name]


@pytest.mark.parametrize("path", [make, started, paused, over, finished, cancelled])
def test_the_same_value_is_always_fine(api: Api, path: Path) -> None:
    target = path(api)
    present = api.get(target)
    same = {name: present[name] for name in OTHER}
    before = api.contents()
    assert (api("PATCH", target, same).status, api("PUT", target, same).status) == (200, 200)
    assert api.contents() == before


def test_the_times_of_a_patch_are_held_against_those_that_stay(api: Api) -> None:
    path = make(api)  # from one hour on, for one hour
    for body, at_fault in (
        ({"starts_at": from_now(3 * HOUR)}, "starts_at"),
        ({"ends_at": from_now(HOUR / 2)}, "ends_at"),
        ({"starts_at": from_now(-3 * HOUR), "ends_at": from_now(-HOUR)}, "ends_at"),
    ):
        answer = api("PATCH", path, body)
        assert (answer.status, answer.at_fault) == (422, {at_fault})
    assert api("PATCH", path, {"starts_at": from_now(3 * HOUR), "ends_at": from_now(4 * HOUR)}).status == 200


def test_a_running_mailing_cannot_be_ended_by_an_end_in_the_past(api: Api) -> None:
    path = started(api)
    answer = api("PATCH", path, {"ends_at": from_now(-HOUR / 60)})
    assert (answer.status, answer.at_fault) == (422, {"ends_at"})
    assert api("PATCH", path, {"ends_at": from_now(5 * HOUR)}).json["state"] == "running"


def test_another_window_of_a_running_mailing_is_told_to_the_dispatchers(api: Api) -> None:
    path = started(api, send_window=NIGHT)
    assert api("PATCH", path, {"send_window": NIGHT}).status == 200
    assert api.execute("select window_changed from mailings") is False
    assert api("PATCH", path, {"send_window": None}).json["send_window"] is None
    assert api.execute("select window_changed from mailings") is True


def test_the_priority_of_a_running_mailing_may_change(api: Api) -> None:
    path = started(api)
    assert api("PATCH", path, {"priority": "urgent"}).json["priority"] == "urgent"
    assert api.execute("select priority from mailings") == "urgent"
    assert api("POST", f"{path}cancel/").status == 200
    assert api("PATCH", path, {"priority": "urgent"}).status == 200
    assert api("PATCH", path, {"priority": "bulk"}).status == 409


def test_moving_the_start_to_now_is_announced(api: Api) -> None:
    path = make(api)
    api.announced.clear()
    assert api("PATCH", path, {"starts_at": from_now(HOUR / 2), "text": "Soon"}).json["state"] == "scheduled"
    assert api.announced == []
    assert api("PATCH", path, {"starts_at": from_now(-HOUR / 3600)}).json["state"] == "running"
    assert api.announced == [api.get(path)["id"]]


ACTIONS = [
    # path, state, then the state after, or None: conflict
    (make, "scheduled", "paused", "scheduled", "cancelled"),
    (started, "running", "paused", "running", "cancelled"),
    (paused, "paused", "paused", "running", "cancelled"),
    (over, "finished", None, None, None),
    (finished, "finished", None, None, None),
    (cancelled, "cancelled", None, None, "cancelled"),
]


@pytest.mark.parametrize(("path", "state", "pause", "resume", "cancel"), ACTIONS)
def test_pause_resume_and_cancel(
    api: Api, path: Path, state: str, pause: str | None, resume: str | None, cancel: str | None
) -> None:
    for action, after in (("pause", pause), ("resume", resume), ("cancel", cancel)):
        target = path(api)
        assert api.get(target)["state"] == state
        answers = [api("POST", f"{target}{action}/") for _ in range(2)]
        assert [answer.status for answer in answers] == [200 if after else 409] * 2
        if after:
            assert [answer.json["state"] for answer in answers] == [after] * 2
        assert api.get(target)["state"] == (after or state)
        assert api("DELETE", target).status == 204


def test_who_paused_a_mailing_and_why(api: Api) -> None:
    path = started(api)
    assert [api.get(path)[name] for name in ("paused_because", "provider_words")] == [None, None]
    api("POST", f"{path}pause/")
    assert api.get(path)["paused_because"] == "person"
    # The leader halts it: tests/integration/leading/test_standing.py.
    with api.engine.begin() as connection:
        connection.exec_driver_sql(
            "update mailings set paused_at = now(), halted_at = now(), provider_words = 'the account is closed'"
        )
    halted = api.get(path)
    assert (halted["state"], halted["paused_because"]) == ("paused", "halted")
    assert halted["provider_words"] == "the account is closed"
    resumed = api("POST", f"{path}resume/").json
    assert (resumed["state"], resumed["paused_because"]) == ("running", None)
    assert api("POST", f"{path}pause/").json["paused_because"] == "person"
    assert api("PATCH", path, {"paused_because": "person"}).status == 422


def test_resuming_is_announced_if_the_mailing_is_due(api: Api) -> None:
    for path, announcements in ((make(api), 0), (started(api), 1)):
        assert api("POST", f"{path}pause/").status == 200
        api.announced.clear()
        assert api("POST", f"{path}resume/").status == 200
        assert len(api.announced) == announcements


def test_a_deleted_mailing_is_gone_and_cancelled(api: Api) -> None:
    api.make("/clients/", {"phone": "79120000001"})
    kept, deleted = started(api), started(api)
    for path in (kept, deleted):
        assert api.launch(int(path.split("/")[2])) == 1
    assert api("DELETE", deleted).status == 204
    for method, suffix, body in (
        ("GET", "", None),
        ("PUT", "", mailing()),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "pause/", None),
        ("POST", "resume/", None),
        ("POST", "cancel/", None),
        ("GET", "detail_statistics/", None),
    ):
        assert api(method, f"{deleted}{suffix}", body).status == 404
    listed = api("GET", "/mailings/")
    assert ([f"/mailings/{row['id']}/" for row in listed.json], listed.total) == ([kept], 1)
    statistics = api("GET", "/mailings/general_statistics/")
    assert (statistics.json["audience"], len(statistics.json["mailings"]), statistics.total) == (1, 1, 1)
    assert api.execute("select count(*) from mailings where cancelled_at is not null and deleted_at is not null") == 1


def test_deleting_what_is_over_does_not_cancel_it(api: Api) -> None:
    assert api("DELETE", finished(api)).status == 204
    assert api.execute("select cancelled_at from mailings") is None


def test_a_change_waits_for_a_launch_under_way(api: Api) -> None:
    """Else a text could change after the first message with the old one is on its way."""
    path = make(api)
    answers: list[Answer] = []
    with held_up(api, lambda: answers.append(api("PATCH", path, {"text": "Late"}))) as connection:
        connection.execute(text("update mailings set audience_limit = 7"))
    assert [(answer.status, answer.at_fault) for answer in answers] == [(409, {"text"})]
    assert api.get(path)["text"] == "Hello"


@pytest.mark.parametrize("asked", [("POST", "cancel/"), ("POST", "pause/"), ("PATCH", ""), ("DELETE", "")])
def test_whoever_waited_for_a_mailing_decides_by_the_time_when_they_got_it(api: Api, asked: tuple[str, str]) -> None:
    """It ended meanwhile."""
    path = make(api, **{"starts_at": from_now(-HOUR), "ends_at": from_now(timedelta(seconds=2))})
    method, action = asked
    body = {"ends_at": from_now(HOUR)} if method == "PATCH" else None
    answers: list[Answer] = []
    with held_up(api, lambda: answers.append(api(method, f"{path}{action}", body))) as connection:
        while not connection.scalar(text("select clock_timestamp() >= ends_at from mailings")):
            pass
    assert [answer.status for answer in answers] == [204 if method == "DELETE" else 409]
    assert api.execute("select num_nulls(paused_at, cancelled_at) from mailings") == 2


@contextmanager
def held_up(api: Api, request: Callable[[], object]) -> Iterator[Connection]:
    """The request waits for its mailing, which the given transaction holds for as long as the block lasts."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with api.engine.connect() as connection:
        connection.execute(text("select 1 from mailings for update"))
        thread = threading.Thread(target=request)
        thread.start()
        while not api.execute(waiting):
            assert thread.is_alive()
        yield connection
        connection.commit()
    thread.join(10)


def test_lists_come_in_pages_with_the_figures_of_each(api: Api) -> None:
    for number in range(3):
        api.make("/clients/", {"phone": f"7912000000{number}", "tag": "odd" if number % 2 else ""})
    ids = [api.make("/mailings/", running(filter={"tags": tags}))["id"] for tags in ([], ["odd"], ["none"])]
    for mailing_id in ids:
        api.launch(mailing_id)
    pages = [api("GET", f"/mailings/?page={page}&page_size=2") for page in (1, 2)]
    assert [page.total for page in pages] == [3, 3]
    rows = [row for page in pages for row in page.json]
    assert [(row["id"], row["statistics"]["audience"], row["statistics"]["pending"]) for row in rows] == [
        (ids[0], 3, 3),
        (ids[1], 1, 1),
        (ids[2], 0, 0),
    ]
