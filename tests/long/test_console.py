"""The console in a browser: what nobody sees from the answers alone."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.console_in_browser import Console, page_of

pytest_plugins = ("tests.support.keys_command_fixture", "tests.support.console_in_browser")


def furnish(console: Console, clients: int) -> int:
    """Clients, and a mailing to all of them that runs; its id."""
    table = "".join(f"7912{number:07d},vip,{'Омск' * 30}\n" for number in range(clients))
    console.api.import_clients(BytesIO(f"phone,tag,city\n{table}12,,\n".encode()), name="А" * 64)
    now = datetime.now(UTC)
    text = "Двери открываются в полдень. " + "Длинное" * 40
    later = console.api.create_mailing("Later", now + timedelta(days=1), now + timedelta(days=2))
    assert later["state"] == "scheduled"
    running = int(console.api.create_mailing(text, now, now + timedelta(hours=1))["id"])
    segment = console.api.create_segment("Длинное" * 9, {"tags": ["vip"]})["id"]
    lists: dict[str, Any] = {
        "tags": ["vip"],
        "segments": [segment],
        "attributes": {"city": ["Омск" * 30, "Томск, Россия"]},
    }
    console.api.create_mailing("A draft", None, None, draft=True, **lists, exclude=lists | {"mailings": [running]})
    return running


SCREENS = [
    "",
    "mailings/",
    "mailings/2/",
    "mailings/2/cancel/",
    "mailings/new/",
    "mailings/3/edit/",
    "messages/1/",
    "clients/",
    "clients/1/",
    "clients/?phone=12",
    "clients/1/why/?mailing=1",
    "imports/",
    "imports/1/",
    "audit/",
    "no/such/page",
    "providers/",
    "providers/seed/pause/",
    "providers/seed/weight/",
    "days/",
    "keys/",
    "keys/?which=all",
    "keys/new/",
    "sessions/",
    "mailings/2/test/",
    "mailings/2/retry/",
    "segments/",
    "segments/1/",
    "segments/2/",
    "segments/2/edit/",
    "segments/new/",
    "segments/1/delete/",
    "suppressions/",
    "suppressions/?phone=12",
    "suppressions/?phone=79990000009",
    "suppressions/1/",
    "suppressions/1/lift/",
    "suppressions/files/",
    "suppressions/files/1/",
    "clients/3/suppress/",
    "clients/3/erase/",
]
FOLLOWED = {"keys/": "a[href$='/revoke/']", "sessions/": "a[href$='/end/']", "days/": "td a"}
"""Screens whose addresses nobody knows before: the first of these links leads to one."""


def furnish_lists(console: Console) -> None:
    """Segments of which one names the other, suppressions of which one is of a client, and a file of them."""
    lower = console.api.create_segment("Из Омска " + "длинное" * 7, {"attributes": {"city": ["Омск" * 30]}})
    excluded = {"tags": ["new", "старый"], "mailings": [1]}
    console.api.create_segment("Upper", {"tags": ["vip", ""], "segments": [lower["id"]], "exclude": excluded})
    console.api.suppress("79120000000", reason="Просьба" * 20)
    console.api.import_suppressions(BytesIO(b"phone,reason\n79990000000,STOP\n12,\n"), name="Б" * 64)


WIDEST = """
    const right = (element) => element.getBoundingClientRect().right;
    [...document.querySelectorAll("main *")].sort((one, other) => right(other) - right(one))[0].outerHTML.slice(0, 200)
"""

LOOKS = [
    {"locale": "en", "color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    {"locale": "ru", "color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    {"locale": "ru", "color_scheme": "light", "viewport": {"width": 320, "height": 640}},
    {"locale": "en", "color_scheme": "dark", "viewport": {"width": 640, "height": 400}},  # 200 % of a small screen
]


def test_no_screen_keeps_anybody_out(console: Console, browser: Browser, axe: str) -> None:
    """Each in both languages, light and dark, wide and narrow."""
    furnish(console, 200)
    furnish_lists(console)
    found: list[object] = []
    for look in LOOKS:
        with page_of(browser, console, **look, bypass_csp=True) as page:  # for the script of the test alone
            expect(page.locator("html")).to_have_attribute("lang", str(look["locale"]))
            followed = []
            for screen, link in FOLLOWED.items():
                page.goto(f"/console/{screen}")
                followed.append(str(page.locator(link).first.get_attribute("href")).removeprefix("/console/"))
            for screen in SCREENS + followed:
                page.goto(f"/console/{screen}")
                expect(page.locator("h1")).to_have_count(1)
                if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                    found.append((screen, look, "scrolls sideways", page.evaluate(WIDEST)))
                page.evaluate(axe)
                said = page.evaluate(
                    "axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))"
                )
                found += [(screen, look, one) for one in said]
    assert not found, "\n".join(map(str, found))


def test_numbers_are_alive_and_say_when_they_are_old(console: Console, browser: Browser) -> None:
    mailing = furnish(console, 1500)
    with page_of(browser, console, locale="en") as page:
        looks: list[str] = []
        page.on("request", lambda request: looks.append(request.url) if "/live/" in request.url else None)
        page.goto(f"/console/mailings/{mailing}/")
        sent = page.locator("a[href$='?status=sent#messages']")
        expect(sent).not_to_have_text("0", timeout=30_000)
        before = sent.inner_text()
        expect(sent).not_to_have_text(before, timeout=30_000)
        old = page.locator(".old-news")
        expect(old).to_be_hidden()
        console.processes.stop("api")
        expect(old).to_be_visible(timeout=60_000)
        console.restart()
        expect(old).to_be_hidden(timeout=90_000)
        trying = page.get_by_text("Try it out on a few phones")
        expect(trying).to_be_visible()
        expect(page.get_by_text("Finished").first).to_be_visible(timeout=120_000)
        expect(trying).to_have_count(0)  # what stands beside the numbers is new, too
        assert looks
        looks.clear()
        page.wait_for_timeout(6_000)  # three times as long as until the next look
        assert looks == []


def test_a_mailing_is_paused_with_the_keyboard_alone(console: Console, browser: Browser) -> None:
    mailing = furnish(console, 1500)

    def reach(page: Page, name: str) -> None:
        """By Tab, as far as it takes; and what is reached can be seen to be."""
        for _ in range(100):
            page.keyboard.press("Tab")
            reached = page.evaluate(
                "[document.activeElement.innerText, getComputedStyle(document.activeElement).outlineStyle]"
            )
            if reached[0] and reached[0].strip() == name:
                assert reached[1] != "none"
                page.keyboard.press("Enter")
                return
        raise AssertionError(f"Tab does not lead to {name}.")

    with page_of(browser, console, locale="en") as page:
        reach(page, "Mailings")
        page.wait_for_url("**/console/mailings/")
        reach(page, str(mailing))
        page.wait_for_url(f"**/mailings/{mailing}/")
        reach(page, "Pause")
        page.wait_for_url("**/pause/")
        button = page.locator("main button")
        reach(page, button.inner_text())
        page.wait_for_url(f"**/mailings/{mailing}/")
    assert console.api.mailing(mailing)["state"] == "paused"
