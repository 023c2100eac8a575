"""Segments over HTTP: saved filters, who is in them, what may name them, and what mailings make of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from api_service.directory import segment_actions
from shared.domain.segments import MAX_DEPTH
from tests.support.api import EVERYONE, Answer, Api, mailing, running
from tests.support.books import Books


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def save(api: Api, name: str = "some", **wanted: Any) -> int:
    return int(api.make("/segments/", {"name": name, "filter": wanted})["id"])


def change(api: Api, segment_id: int, **wanted: Any) -> Answer:
    return api("PATCH", f"/segments/{segment_id}/", {"filter": wanted})


def count(api: Api, segment_id: int) -> int:
    found = api.get(f"/segments/{segment_id}/")
    assert found["uncounted_because"] is None
    return int(found["count"])


def audited(api: Api, thing: str, last: int) -> list[Any]:
    """The last lines: nothing empties the audit, not even between two tests."""
    lines = f"select id from audit where thing = '{thing}' order by id desc limit {last}"
    before = f"select coalesce(min(id), 1) - 1 from ({lines}) lines"
    return list(api.get(f"/audit/?thing={thing}&after_id={api.execute(before)}"))


@pytest.fixture
def people(api: Api) -> None:
    for number, city in enumerate(("Omsk", "Omsk", "Tomsk", None), 1):
        attributes = {"city": city} if city else {}
        api.make("/clients/", {"phone": f"7912000000{number}", "attributes": attributes, "tag": "vip" if city else ""})


WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


# ---------------------------------------------------------------- what it is


def test_a_segment_is_shown_as_it_was_saved(api: Api, people: None) -> None:
    wanted = {
        "attributes": {" city ": ["Tomsk", "Omsk", "Omsk"], "one": [1.0, True, "1"]},
        "exclude": {"tags": ["new"]},
    }
    made = api.make("/segments/", {"name": " Locals\u00a0", "filter": wanted})
    kept = EVERYONE | {"attributes": {"city": ["Omsk", "Tomsk"], "one": ["1", 1, True]}}
    kept |= {"exclude": EVERYONE["exclude"] | {"tags": ["new"]}}
    assert made == {"id": 1, "name": "Locals", "filter": kept, "revision": 1, "created_at": made["created_at"]}
    assert api.get("/segments/1/") == made | {"count": 0, "uncounted_because": None}
    assert api.get("/segments/") == api.get("/segments/?name=Locals") == [made]
    assert api.get("/segments/?name=locals") == []
    assert api("DELETE", "/segments/1/").status == 204
    assert api("GET", "/segments/1/").status == 404


def test_who_is_in_it_is_counted_when_it_is_asked(api: Api, people: None) -> None:
    omsk, not_omsk = save(api, attributes={"city": ["Omsk"]}), save(api, exclude={"attributes": {"city": ["Omsk"]}})
    of_both = save(api, segments=[omsk, not_omsk])
    assert [count(api, one) for one in (omsk, not_omsk, of_both)] == [2, 2, 4]
    api("PATCH", "/clients/3/", {"attributes": {"city": "Omsk"}})
    assert [count(api, one) for one in (omsk, not_omsk, of_both)] == [3, 1, 4]
    assert api("GET", f"/segments/{omsk}/").headers["ETag"] == '"1"'  # a count changes nothing


def test_counting_is_given_up_after_a_while(api: Api, people: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = save(api, tags=["vip"])
    monkeypatch.setattr(segment_actions, "COUNT_SECONDS", 0.05)
    with api.engine.begin() as connection:
        connection.execute(text("set local role none; lock table clients in access exclusive mode"))
        found = api.get(f"/segments/{one}/")
    assert (found["count"], found["uncounted_because"]) == (None, "time")


def test_changes_are_in_the_audit_without_values_that_may_be_somebodys(api: Api) -> None:
    one = save(api, tags=["vip"], attributes={"name": ["Anna", "Boris"]}, exclude={"attributes": {"name": ["Clara"]}})
    assert api("PATCH", f"/segments/{one}/", {"name": "others"}).status == 200
    assert change(api, one, attributes={"name": ["Anna"]}).status == 200
    assert api("DELETE", f"/segments/{one}/").status == 204
    lines = audited(api, "segment", 4)
    assert [(line["action"], line["thing_id"], line["members"]) for line in lines] == [
        ("create", str(one), ["filter", "name"]),
        ("change", str(one), ["name"]),
        ("change", str(one), ["filter"]),
        ("delete", str(one), []),
    ]
    assert lines[0]["after"]["filter"]["attributes"] == {"name": 2}
    assert lines[1]["before"] | lines[1]["after"] == {"name": "others"}
    assert (lines[2]["before"]["filter"]["tags"], lines[2]["after"]["filter"]["attributes"]) == (["vip"], {"name": 1})
    assert "Clara" not in str(lines)


# ---------------------------------------------------------------- which may name which


def test_segments_that_would_name_each_other_in_a_circle_are_refused(api: Api) -> None:
    first = save(api)
    second = save(api, segments=[first])
    third = save(api, exclude={"segments": [second]})
    for wanted in ({"segments": [third]}, {"exclude": {"segments": [third]}}, {"segments": [first]}):
        answer = change(api, first, **wanted)
        assert (answer.status, answer.at_fault) == (422, {"filter"})
        assert "circle" in str(answer.json["errors"])
    assert api.get(f"/segments/{first}/")["revision"] == 1
    assert change(api, third).status == 200
    assert change(api, first, segments=[third]).status == 200


def test_of_two_that_would_close_a_circle_at_once_one_is_refused(api: Api) -> None:
    one, other = save(api), save(api)
    with ThreadPoolExecutor(2) as pool:
        with api.engine.begin() as connection:
            connection.execute(text("lock table segments in share row exclusive mode"))
            changes = [pool.submit(change, api, here, segments=[there]) for here, there in ((one, other), (other, one))]
            while api.execute(WAITING) < 2:
                assert not any(each.done() for each in changes)
        assert sorted(each.result(30).status for each in changes) == [200, 422]


def test_a_segment_of_a_hundred_segments(api: Api, people: None) -> None:
    many = [save(api, attributes={"city": [f"{n} {i}" for i in range(100)] + ["Omsk"][: n == 50]}) for n in range(100)]
    one = save(api, segments=many)
    assert count(api, one) == 2
    assert api.launch(api.make("/mailings/", running(filter={"segments": [one]}))["id"]) == 2
    assert api.launch(api.make("/mailings/", running(filter={"exclude": {"segments": [one]}}))["id"]) == 2


def test_they_name_each_other_so_deep_and_no_deeper(api: Api) -> None:
    """Whatever was saved can be named by a mailing, and a change below does not make what is above too deep."""
    last = first = save(api)
    for _ in range(MAX_DEPTH - 1):
        last = save(api, segments=[last])
    assert api("POST", "/segments/", {"name": "a", "filter": {"segments": [last]}}).at_fault == {"filter"}
    assert api("POST", "/mailings/", mailing(filter={"segments": [last]})).status == 201
    answer = change(api, first, segments=[save(api)])
    assert (answer.status, answer.at_fault) == (422, {"filter"})


@pytest.mark.parametrize("by", ["a segment", "one that leaves it out", "a mailing", "a mailing that leaves it out"])
def test_one_that_is_named_is_not_deleted(api: Api, by: str) -> None:
    one = save(api)
    wanted = {"exclude": {"segments": [one]}} if "leaves" in by else {"segments": [one]}
    path, body = (
        ("/mailings/", mailing(filter=wanted)) if "mailing" in by else ("/segments/", {"name": "a", "filter": wanted})
    )
    namer = f"{path}{api.make(path, body)['id']}/"
    answer = api("DELETE", f"/segments/{one}/")
    assert (answer.status, answer.json["type"]) == (409, "in-use")
    assert namer.strip("/").replace("s/", " ") in answer.json["message"]
    assert api("PATCH", namer, {"filter": {}}).status == 200
    assert api("DELETE", f"/segments/{one}/").status == 204


@pytest.mark.parametrize("fate", ["launched_at = now()", "cancelled_at = now()", "finished_at = now()"])
def test_a_mailing_that_has_started_or_never_will_keeps_no_segment(api: Api, books: Books, fate: str) -> None:
    one = save(api, tags=["vip"])
    made = api.make("/mailings/", mailing(filter={"segments": [one]}))
    books.run(f"update mailings set {fate}")
    assert api("DELETE", f"/segments/{one}/").status == 204
    assert api.get(f"/mailings/{made['id']}/")["fixed_segments"] == [{"id": one, "name": "some", "revision": 1}]


def test_one_that_is_named_at_this_moment_is_not_deleted(api: Api) -> None:
    one = save(api)
    with ThreadPoolExecutor(1) as pool:
        with api.engine.begin() as connection:
            connection.execute(text("select from segments for key share"))
            gone = pool.submit(api, "DELETE", f"/segments/{one}/")
            while not api.execute(WAITING):
                assert not gone.done()
            connection.execute(text("set local role none"))
            connection.execute(
                text("""insert into mailings (text, starts_at, ends_at, segments, named_segments)
                        values ('Hello', now() + interval '1 h', now() + interval '2 h', array[:id], array[:id])"""),
                {"id": one},
            )
        assert gone.result(30).status == 409
    api.execute("delete from mailings")


# ---------------------------------------------------------------- what a mailing makes of it


def fixed(api: Api, path: str) -> list[tuple[int, int]]:
    return [(one["id"], one["revision"]) for one in api.get(path)["fixed_segments"]]


def test_a_mailing_goes_to_who_was_meant_when_it_was_saved(api: Api, people: None) -> None:
    """By the filter of its segments then, and by the clients at its start."""
    inner = save(api, attributes={"city": ["Omsk"]})
    outer = save(api, segments=[inner])
    made = api.make("/mailings/", running(filter={"segments": [outer]}))
    path = f"/mailings/{made['id']}/"
    assert fixed(api, path) == [(inner, 1), (outer, 1)]
    assert change(api, inner, attributes={"city": ["Tomsk"]}).status == 200
    assert change(api, outer, tags=["nobody"]).status == 200
    api.make("/clients/", {"phone": "79120000009", "attributes": {"city": "Omsk"}})
    assert fixed(api, path) == [(inner, 1), (outer, 1)]
    assert api.launch(made["id"]) == 3


def test_a_filter_that_is_given_again_takes_its_segments_up_as_they_are(api: Api) -> None:
    one = save(api, tags=["vip"])
    path = f"/mailings/{api.make('/mailings/', mailing(filter={'segments': [one]}))['id']}/"
    assert change(api, one, tags=["new"]).status == 200
    assert api("PATCH", path, {"text": "Other"}).json["fixed_segments"][0]["revision"] == 1
    given = {"filter": {"segments": [one]}}
    again = api("PATCH", path, given).json
    assert (again["revision"], again["fixed_segments"][0]["revision"]) == (3, 2)
    assert api("PATCH", path, given).json == again
    assert api("PUT", path, api.get(path)).json == again
    [line] = audited(api, "mailing", 1)
    assert line["members"] == ["filter", "fixed_segments"]
    assert [line[when]["fixed_segments"][0]["revision"] for when in ("before", "after")] == [1, 2]


def test_after_the_launch_it_stays_and_what_get_gave_can_be_put_back(api: Api, books: Books) -> None:
    one = save(api, tags=["vip"])
    path = f"/mailings/{api.make('/mailings/', running(filter={'segments': [one]}))['id']}/"
    assert change(api, one, tags=["new"]).status == 200
    found = api.get(path)
    assert (api("PUT", path, found).status, fixed(api, path)) == (200, [(one, 1)])
    books.launch(1)
    assert api("DELETE", f"/segments/{one}/").status == 204
    assert (api("PUT", path, found).status, fixed(api, path)) == (200, [(one, 1)])


# ---------------------------------------------------------------- who got a mailing


@pytest.fixture
def got(api: Api, people: None) -> int:
    """A mailing to those of Omsk, launched."""
    made = api.make("/mailings/", running(filter={"attributes": {"city": ["Omsk"]}}))
    assert api.launch(made["id"]) == 2
    return int(made["id"])


def test_who_got_another_mailing_is_left_out(api: Api, books: Books, got: int) -> None:
    wanted: Any = {"exclude": {"mailings": [got]}}
    assert count(api, save(api, **wanted)) == 2
    assert api.launch(api.make("/mailings/", running(filter=wanted))["id"]) == 2
    api("POST", f"/mailings/{got}/cancel/")
    books.run("update messages set status = 'cancelled', due_at = null where mailing_id = :id", id=got)
    assert count(api, 1) == 4
    books.run("update messages set status = 'pending', due_at = now() where mailing_id = :id", id=got)


def test_a_mailing_whose_messages_are_gone_is_not_left_out(api: Api, books: Books, got: int) -> None:
    """It would leave out nobody: 422 wherever it is named, and of a segment that names it already."""
    wanted: Any = {"exclude": {"mailings": [got]}}
    one = save(api, **wanted)
    books.run("update mailings set messages_removed_at = now() where id = :id", id=got)
    for path, body in (
        ("/mailings/", mailing(filter=wanted)),
        ("/mailings/", mailing(filter={"segments": [one]})),
        ("/segments/", {"name": "a", "filter": wanted}),
        ("/segments/", {"name": "a", "filter": {"exclude": {"segments": [one]}}}),
    ):
        answer = api("POST", path, body)
        assert (answer.status, answer.at_fault) == (422, {"filter"})
        assert "not kept any more" in str(answer.json["errors"])
    found = api.get(f"/segments/{one}/")
    assert (found["count"], found["uncounted_because"]) == (None, "rows_gone")


def test_one_that_was_deleted_is_not_named_and_one_that_is_named_leaves_them_out_all_the_same(
    api: Api, got: int
) -> None:
    wanted: Any = {"exclude": {"mailings": [got]}}
    made = api.make("/mailings/", running(filter=wanted))
    assert api("DELETE", f"/mailings/{got}/").status == 204
    answer = api("POST", "/mailings/", mailing(filter=wanted))
    assert (answer.status, answer.at_fault) == (422, {"filter"})
    assert api.launch(made["id"]) == 2
