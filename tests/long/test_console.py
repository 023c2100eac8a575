"""The console in a browser: what nobody sees from the answers alone."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from notification_client import ApiClient
from sandbox import deployment
from sandbox.processes import Processes, free_port
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Faults
from tests.support.keys_command import Run
from tests.support.server_process import program

pytest_plugins = ("tests.support.keys_command_fixture",)

AXE = "axe-core@4.14.1"
QUIET = [
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--no-first-run"),
]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that finds what keeps people out, from npm."""
    place = tmp_path_factory.mktemp("axe")
    npm = program("npm", "npm")
    subprocess.run([npm, "pack", "--silent", AXE], cwd=place, check=True, capture_output=True, timeout=120)
    (archive,) = place.glob("*.tgz")
    subprocess.run(["tar", "xzf", archive, "package/axe.min.js"], cwd=place, check=True)
    return (place / "package/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=QUIET)
        yield browser
        browser.close()


class Console:
    """A deployment. url: of its API. key: of the scope `admin`."""

    def __init__(self, processes: Processes, simulator: Simulator, env: dict[str, str], key: str) -> None:
        self.processes, self.simulator, self.key = processes, simulator, key
        self._env = env | {"API_PORT": str(free_port()), "API_AUTH": "on", "METRICS_PORT": "0"}
        self.url = deployment.start_api(processes, self._env)
        self.api = ApiClient(self.url, key=key)

    def restart(self) -> None:
        deployment.start_api(self.processes, self._env)


@pytest.fixture
def console(database_url: str, run: Run) -> Iterator[Console]:
    key = next(word for word in run("create", "--name", "Anna", "--scope", "admin").out.split() if "nsk_" in word)
    with Processes(lambda _name, _line: None) as processes:
        simulator = deployment.start_simulator(processes, port=free_port())
        simulator.set_faults(Faults(latency_ms=100))
        env = {"DATABASE_URL": database_url, "PROVIDER_URL": simulator.url}
        console = Console(processes, simulator, env, key)
        deployment.start_dispatcher(processes, {**env, "METRICS_PORT": "0", "DISPATCH_RATE": "50"})
        yield console
        console.api.close()


@contextmanager
def page_of(browser: Browser, console: Console, **about: object) -> Iterator[Page]:
    """Signed in. Whatever the browser complains of is a fault."""
    at = {"base_url": console.url, "timezone_id": "Asia/Omsk"}
    with browser.new_context(**at, **about) as context:  # type: ignore[arg-type]
        context.add_cookies([{"name": "zone", "value": "Asia/Omsk", "url": f"{console.url}/console/"}])
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto("/console/")
        page.get_by_role("textbox").fill(console.key)
        page.keyboard.press("Enter")
        page.locator("nav").first.wait_for()
        yield page
        assert [said for said in complaints if "Failed to" not in said] == []


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
]
SCREENS += ["providers/", "providers/seed/pause/", "providers/seed/weight/", "days/", "keys/", "keys/?which=all"]
SCREENS += ["keys/new/", "sessions/", "mailings/2/test/", "mailings/2/retry/"]
FOLLOWED = {"keys/": "a[href$='/revoke/']", "sessions/": "a[href$='/end/']", "days/": "td a"}
"""Screens whose addresses nobody knows before: the first of these links leads to one."""

SCREENS += ["segments/", "segments/1/", "segments/2/", "segments/2/edit/", "segments/new/", "segments/1/delete/"]
SCREENS += ["suppressions/", "suppressions/?phone=12", "suppressions/?phone=79990000009", "suppressions/1/"]
SCREENS += ["suppressions/1/lift/", "suppressions/files/", "suppressions/files/1/"]
SCREENS += ["clients/3/suppress/", "clients/3/erase/"]


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
