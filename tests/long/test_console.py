"""The console in a browser: what nobody sees from the answers alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text

from sandbox.simulator.faults import Faults
from tests.support.console_in_browser import Console, page_of
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.keys_command_fixture", "tests.support.console_in_browser")


def furnish(console: Console, clients: int) -> int:
    """Clients, and a mailing to all of them that runs; its id."""
    table = "".join(f"7912{number:07d},vip,{'Омск' * 30}\n" for number in range(clients))
    console.api.import_clients(BytesIO(f"phone,tag,city\n{table}12,,\n".encode()), name="А" * 64)
    now = datetime.now(UTC)
    words = "Двери открываются в полдень. " + "Длинное" * 40
    later = console.api.create_mailing("Later", now + timedelta(days=1), now + timedelta(days=2))
    assert later["state"] == "scheduled"
    running = int(console.api.create_mailing(words, now, now + timedelta(hours=1))["id"])
    segment = console.api.create_segment("Длинное" * 9, {"tags": ["vip"]})["id"]
    lists: dict[str, Any] = {
        "tags": ["vip"],
        "segments": [segment],
        "attributes": {"city": ["Омск" * 30, "Томск, Россия"]},
    }
    console.api.create_mailing("A draft", None, None, draft=True, **lists, exclude=lists | {"mailings": [running]})
    dear = "“Длинное” sale\u00a0– " * 20
    console.api.create_mailing(dear.replace("Длинное", "It’s"), now, now + timedelta(days=1), draft=True)
    return running


SCREENS = [
    "",
    "mailings/",
    "mailings/2/",
    "mailings/2/cancel/",
    "mailings/new/",
    "mailings/3/edit/",
    "mailings/3/review/",
    "mailings/4/edit/",
    "mailings/4/review/",
    "mailings/2/?status=failed",
    "mailings/2/?error=rejected",
    "mailings/2/?receipt=undelivered",
    "mailings/?state=scheduled",
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


EMPTY = [
    *("", "mailings/", "clients/", "imports/", "segments/", "suppressions/", "suppressions/files/"),
    *("days/", "providers/", "audit/", "mailings/new/", "segments/new/"),
]
"""Screens that are seen before there is anything."""

REFUSED: dict[str, dict[str, str]] = {
    "mailings/new/": {"text": "\u200b"},
    "segments/new/": {"name": ""},
    "mailings/2/retry/": {"ends_at": ""},
    "mailings/4/test/": {"phones": "12"},
    "providers/seed/weight/": {"weight": "-1"},
    "suppressions/": {"phone": "12"},
    "clients/3/erase/": {"phone": "12"},
    "keys/new/": {"name": ""},
}
"""Forms, and what is wrong in them."""


def furnish_much(console: Console, engine: Engine) -> None:
    """Ten thousand mailings, and what providers said later of some messages of the one that is over."""
    wait_until(lambda: console.api.mailing(2)["state"] == "finished")
    with superuser(engine) as connection:
        connection.execute(text(_MAILINGS))
        connection.execute(text(_RECEIPTS))
        connection.execute(text("insert into receipt_counters (mailing_id, slot, moved_at, undelivered)"
                                " values (2, 1, now(), 30)"))  # fmt: skip


_MAILINGS = """
    insert into mailings (name, text, starts_at, ends_at)
    select 'Mailing ' || n, repeat('Длинное', 100), now() + interval '1 day', now() + interval '2 days'
    from generate_series(1, 10000) n
"""
_RECEIPTS = """
    insert into receipts (message_id, part, mailing_id, at, status, state, reason)
    select id, part, mailing_id, now(), status, 'undelivered', repeat('absent', 16) from messages
    where mailing_id = 2 and status = 'sent' order by id limit 30
"""

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


def test_no_screen_keeps_anybody_out(console: Console, engine: Engine, browser: Browser, axe: str) -> None:
    """Each in both languages, light and dark, wide and narrow; with nothing on it, with long texts and ten thousand
    mailings, and with what was refused."""
    console.simulator.set_faults(Faults(latency_ms=100, refuse_ids_modulo=3))
    found: list[object] = []
    for look in LOOKS:
        with looking(browser, console, look) as page:
            for screen in EMPTY:
                page.goto(f"/console/{screen}")
                found += faults(page, (screen, look), axe)
    furnish(console, 200)
    furnish_lists(console)
    furnish_much(console, engine)
    for look in LOOKS:
        with looking(browser, console, look) as page:
            followed = []
            for screen, link in FOLLOWED.items():
                page.goto(f"/console/{screen}")
                followed.append(str(page.locator(link).first.get_attribute("href")).removeprefix("/console/"))
            for screen in SCREENS + followed:
                page.goto(f"/console/{screen}")
                found += faults(page, (screen, look), axe)
            for screen, wrong in REFUSED.items():
                refuse(page, screen, wrong)
                found += faults(page, (screen, look, "refused"), axe)
    assert not found, "\n".join(map(str, found))


@contextmanager
def looking(browser: Browser, console: Console, look: dict[str, Any]) -> Iterator[Page]:
    with page_of(browser, console, **look, bypass_csp=True) as page:  # for the script of the test alone
        expect(page.locator("html")).to_have_attribute("lang", str(look["locale"]))
        yield page


def faults(page: Page, where: tuple[object, ...], axe: str) -> list[object]:
    """What keeps somebody out of a screen."""
    expect(page.locator("h1")).to_have_count(1)
    found: list[object] = []
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append((where, "scrolls sideways", page.evaluate(WIDEST)))
    page.evaluate(axe)
    said = page.evaluate("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))")
    return found + [(where, one) for one in said]


def refuse(page: Page, screen: str, wrong: dict[str, str]) -> None:
    """Sends a form that is filled in wrongly, past what the browser itself would say."""
    page.goto(f"/console/{screen}")
    form = page.locator("main form[method=post]").filter(has=page.locator(f"[name={next(iter(wrong))}]"))
    form.evaluate("form => form.noValidate = true")
    for name, value in wrong.items():
        form.locator(f"[name={name}]").fill(value)
    with page.expect_response(
        lambda response: response.request.method == "POST" and "/text/" not in response.url
    ) as said:
        form.locator("button:not([name])").first.click()
    assert said.value.status in (403, 422), (screen, said.value.status)
    page.locator(".is-invalid, .invalid-feedback, [role=alert]").first.wait_for()


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


def test_what_makes_a_text_cost_more_is_marked_while_it_is_written(console: Console, browser: Browser) -> None:
    with page_of(browser, console, locale="en") as page:
        page.goto("/console/mailings/new/")
        page.locator("#text").press_sequentially("It’s a “sale”", delay=20)
        marks = page.locator("#text-look mark")
        expect(marks).to_have_count(3)
        expect(marks.first).to_have_text("’'")
        said = page.locator("#text-look [role=status]")
        expect(said).to_contain_text("RIGHT SINGLE QUOTATION MARK")
        status = said.element_handle()
        page.locator("#text").fill("It's a sale")
        expect(marks).to_have_count(0)
        expect(said).to_be_empty()
        assert said.evaluate("(element, before) => element === before", status)  # what is new in it is said aloud
        page.context.clear_cookies(name="console")
        with page.expect_response("**/mailings/text/") as response:
            page.locator("#text").press_sequentially("“")
        assert response.value.status == 401
        expect(page.locator("#text-look")).to_contain_text("SMS a person: 1")  # what was there, and no page in a page
        expect(page.locator("#text")).to_have_value("It's a sale“")


def test_people_are_counted_while_it_is_written_whom_it_is_for(console: Console, browser: Browser) -> None:
    furnish(console, 30)
    with page_of(browser, console, locale="en") as page:
        page.goto("/console/mailings/new/")
        said = page.locator("#people [role=status]")
        expect(said).to_be_empty()
        page.locator("#tags").press_sequentially("nobody has this", delay=20)
        expect(said).to_have_text("At this moment 0 people match.")
        with page.expect_response("**/mailings/new/people/"):
            page.locator("#tags").fill("")
        expect(said).to_have_text("At this moment 30 people match.")


def test_whoever_starts_one_sees_its_messages_come(console: Console, browser: Browser) -> None:
    """The page is there before they are."""
    furnish(console, 1500)
    with page_of(browser, console, locale="en") as page:
        page.goto("/console/mailings/4/review/")
        page.get_by_role("button", name="Start it").click()
        page.wait_for_url("**/mailings/4/**")
        expect(page.locator("#messages")).to_be_visible()
        expect(page.locator("a[href*='/console/messages/']").first).to_be_visible(timeout=30_000)
        sent = page.locator("a[href$='?status=sent#messages']")
        before = sent.inner_text()
        expect(sent).not_to_have_text(before, timeout=30_000)  # and goes on to look


def test_figures_that_somebody_has_opened_stay_open(console: Console, browser: Browser) -> None:
    mailing = furnish(console, 2500)
    with page_of(browser, console, locale="en") as page:
        page.goto(f"/console/mailings/{mailing}/")
        figures = page.locator("section[aria-labelledby=course] details")
        figures.locator("summary").first.click(timeout=60_000)
        rows = page.locator("section[aria-labelledby=course] tbody tr")
        before = rows.count()
        expect(rows).not_to_have_count(before, timeout=60_000)  # new ones come
        expect(rows.first).to_be_visible()
