"""The console in a browser: Debian's chromium, on a deployment of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from notification_client import ApiClient
from sandbox import deployment
from sandbox.processes import Processes, free_port
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Faults
from tests.support.keys_command import Run
from tests.support.server_process import program

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
