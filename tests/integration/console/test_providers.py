"""Providers on the console: what they do, and what a person says of them."""

from html import unescape

import pytest
from sqlalchemy import Engine

from api_service.web.key import Scope
from shared import lanes
from shared.domain.lanes import Entry
from tests.integration.console.test_pages import Browser, Page, signed_in, stored
from tests.integration.operations.test_api_providers import DOWN, QUIET, note
from tests.support.api import Api


@pytest.fixture
def api(engine: Engine) -> Api:
    with engine.begin() as connection:
        lanes.register(connection, [Entry("east", 3), Entry("west", 1)])
    return Api(engine, auth=True)


@pytest.fixture
def opened(engine: Engine, api: Api) -> Api:
    """The same without keys."""
    return Api(engine)


@pytest.fixture
def admin(api: Api, engine: Engine) -> Browser:
    return signed_in(api, stored(engine, Scope.ADMIN))


def test_a_page_tells_what_the_api_tells(api: Api, opened: Api, engine: Engine, admin: Browser) -> None:
    assert "No dispatcher that is at work has it." in admin.read("/providers/")
    note(engine, "a", east=QUIET | {"pace": 80.0}, west=DOWN)
    note(engine, "b", east=QUIET, west=QUIET)
    with engine.begin() as connection:
        lanes.share_out(connection, {"west": 50})
    shown = admin.read("/providers/")
    Page(shown)
    page = unescape(shown)
    assert "1 of 2 dispatchers wait for it to answer again: the provider did not answer in time." in page
    west = opened.get("/providers/west/")
    _, _, shown = page.partition('id="provider-west"')
    assert f"<dd>{west['pace']:g}</dd>" in shown
    assert f"<dd>{west['share']:.0%}</dd>" in shown
    assert "<dd>50%</dd>" in shown  # of its weight
    live = admin.see("/providers/live/", headers={"HX-Request": "true"})
    assert live.headers["X-Live"] == "on"
    assert "provider-west" in live.text


def test_one_is_paused_goes_on_and_gets_another_weight(opened: Api, engine: Engine, admin: Browser) -> None:
    note(engine, "a", east=QUIET, west=QUIET)
    asked = unescape(admin.read("/providers/west/pause/"))
    assert "25% go through it now" in asked
    assert "Meanwhile they go through east" in asked
    revision = '"1"'
    assert admin.send("/providers/west/pause/", revision=revision).headers["Location"] == "/console/providers/"
    assert opened.get("/providers/west/")["state"] == "paused"
    assert "No other provider is up" in admin.read("/providers/east/pause/")
    assert "Go on with west" in unescape(admin.read("/providers/"))
    assert admin.send("/providers/west/weight/", weight="9", revision=revision).status_code == 412  # as it was before
    assert admin.send("/providers/west/resume/", revision='"2"').status_code == 303
    assert admin.send("/providers/west/weight/", weight="9", revision='"3"').status_code == 303
    west = opened.get("/providers/west/")
    assert (west["state"], west["weight"], west["share"]) == ("up", 9, 0.75)
    lines = opened.get("/audit/?thing=provider&thing_id=west")
    assert [line["after"] for line in lines] == [{"paused": True}, {"paused": False}, {"weight": 9}]
    assert all(line["by"].startswith("key ") for line in lines)


@pytest.mark.parametrize("weight", ["", "-1", "0.5", "many", "1000001", "9" * 5000, "\u0663"])
def test_what_is_no_weight_changes_nothing(opened: Api, admin: Browser, weight: str) -> None:
    response = admin.send("/providers/west/weight/", weight=weight, revision='"1"')
    assert response.status_code == 422
    assert "invalid-feedback" in response.text
    Page(response.text)
    assert opened.get("/providers/west/")["weight"] == 1


@pytest.mark.parametrize("path", ["/providers/west/pause/", "/providers/west/resume/", "/providers/west/weight/"])
def test_who_may_not_is_not_shown_it_and_is_refused(api: Api, opened: Api, engine: Engine, path: str) -> None:
    own, token = stored(engine, Scope.WRITE), stored(engine, Scope.ADMIN)
    writer = signed_in(api, own)
    before = opened.get("/providers/west/")
    assert "/providers/west/" not in writer.read("/providers/")
    assert writer.see(path).status_code == 403
    assert writer.send(path, seen_on="/clients/", weight="5", revision='"1"').status_code == 403
    admin = signed_in(api, token)
    forged = admin.http.post(f"/console{path}", data={"weight": "5", "revision": '"1"'})
    assert forged.status_code == 403
    assert opened.get("/providers/west/") == before


def test_who_is_not_there(admin: Browser) -> None:
    for path in ("/providers/north/pause/", "/providers/north/weight/"):
        assert admin.see(path).status_code == 404
        assert admin.send(path, seen_on="/providers/west/pause/", weight="1", revision='"1"').status_code == 404
