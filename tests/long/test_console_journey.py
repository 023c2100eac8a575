"""The whole way of a mailing through the console, by the keyboard alone, as somebody walks it who does not program.

SCREENSHOTS=docs/console: what they see on the way lands there, for the pages that describe it.
"""

import os
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from sandbox.simulator.faults import Faults
from tests.support.console_in_browser import Console, page_of

pytest_plugins = ("tests.support.keys_command_fixture", "tests.support.console_in_browser")

PEOPLE = 300
REFUSED = 100
"""The provider refuses the messages whose number this divides."""

SPREADSHEET = "\ufeffТелефон;Имя;Часовой пояс;Метка\r\n" + "".join(
    f"8 (912) {number // 100:03d}-{number % 100:02d}-00;{name};Europe/Moscow;vip\r\n"
    for number in range(PEOPLE)
    for name in [("Анна", "Борис", "Вера")[number % 3]]
)
"""As an Excel of Russia writes it, with a line that is no phone."""

TEXT = "Hello, {{ Имя }}! We open at noon."


class Hands:
    """Of somebody without a mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def reach(self, what: str, *, is_field: bool = False) -> None:
        """By Tab, as far as it takes; and what is reached can be seen to be. what: the words on it, or a field's
        name."""
        for _ in range(150):
            self.page.keyboard.press("Tab")
            name, words, outline = self.page.evaluate(_FOCUSED)
            if what == name if is_field else words.startswith(what):
                assert is_field or outline != "none", f"Nobody sees that {what} is reached."
                return
        raise AssertionError(f"Tab does not lead to {what} on {self.page.url}.")

    def press(self, words: str) -> None:
        self.reach(words)
        self.page.keyboard.press("Enter")

    def fill(self, name: str, value: str) -> None:
        self.reach(name, is_field=True)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(value)

    def at(self, name: str, day: str, time: str) -> None:
        """As it is typed into a field of a day and a time in English."""
        self.reach(name, is_field=True)
        self.page.keyboard.type(day)
        self.page.keyboard.press("ArrowRight")  # a year may have more than four digits
        self.page.keyboard.type(time)


_FOCUSED = """() => {
    const element = document.activeElement;
    return [element.name || "", (element.innerText || "").trim(), getComputedStyle(element).outlineStyle];
}"""


def test_from_a_spreadsheet_to_a_second_try(console: Console, browser: Browser, tmp_path: Path) -> None:
    console.simulator.set_faults(Faults(latency_ms=20, refuse_ids_modulo=REFUSED))
    table = tmp_path / "people.csv"
    table.write_bytes(SPREADSHEET.encode())
    with page_of(browser, console, locale="en", viewport={"width": 1280, "height": 900}) as page:
        hands = Hands(page)
        _take(hands, table)
        _write(hands)
        _shoot(page, "review")
        hands.press(f"Start it: {PEOPLE} people")
        page.wait_for_url("**/mailings/*/")
        expect(page.get_by_text("Finished").first).to_be_visible(timeout=60_000)
        _shoot(page, "mailing")
        refused = _see_why(hands)
        _export(hands, tmp_path / "messages.csv", refused)
        hands.press("Write again to those it did not reach")
        page.wait_for_url("**/retry/")
        hands.press(f"Write again to {refused} pe")
        page.wait_for_url("**/mailings/2/")
        expect(page.get_by_text("Finished").first).to_be_visible(timeout=60_000)
    assert console.api.mailing(2)["statistics"]["audience"] == refused


def _take(hands: Hands, table: Path) -> None:
    """A rehearsal first, then in earnest."""
    for what, words in ((None, "This was a rehearsal"), ("take", "was read to its end")):
        if what is None:
            hands.press("Files")
            hands.page.wait_for_url("**/imports/")
        with hands.page.expect_file_chooser() as chooser:  # long before, as the browser is told without an answer
            hands.reach("what", is_field=True)
            if what:
                hands.page.keyboard.press("ArrowDown")
            hands.reach("file", is_field=True)
            hands.page.keyboard.press("Enter")
        chooser.value.set_files(table)
        hands.press("Send the file")
        expect(hands.page.get_by_text(words).first).to_be_visible(timeout=30_000)
        expect(hands.page.get_by_text("attribute Имя")).to_be_visible()
        expect(hands.page.locator(".h1", has_text=str(PEOPLE)).first).to_be_visible()


def _write(hands: Hands) -> None:
    hands.press("Mailings")
    hands.page.wait_for_url("**/mailings/")
    hands.press("Write a mailing")
    hands.page.wait_for_url("**/new/")
    hands.fill("name", "Spring sale")
    hands.fill("text", TEXT)
    hands.fill("tags", "vip")
    hands.at("starts_at", "01012026", "0900AM")
    hands.at("ends_at", "01012049", "0900AM")
    hands.press("Save, and look at what would become of it")
    hands.page.wait_for_url("**/review/")
    expect(hands.page.get_by_text("Hello, Анна! We open at noon.").first).to_be_visible()


def _see_why(hands: Hands) -> int:
    """How many failed, and the provider's own words for one of them."""
    failed = hands.page.locator("a[href$='?status=failed#messages']")
    number = int(failed.inner_text())
    assert number == PEOPLE // REFUSED
    failed.focus()
    hands.page.keyboard.press("Enter")
    hands.page.wait_for_url("**/?status=failed#messages")
    hands.page.locator("#messages").focus()
    first = hands.page.locator("a[href*='/console/messages/']").first
    hands.press(first.inner_text())
    hands.page.wait_for_url("**/messages/*/")
    expect(hands.page.locator("main q").first).not_to_be_empty()
    hands.page.go_back()
    hands.page.wait_for_url("**/?status=failed#messages")
    return number


def _export(hands: Hands, place: Path, expected: int) -> None:
    with hands.page.expect_download() as download:
        hands.press("As a file")
    download.value.save_as(place)
    assert len(place.read_text(encoding="utf-8-sig").splitlines()) == 1 + expected


def _shoot(page: Page, name: str) -> None:
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)
