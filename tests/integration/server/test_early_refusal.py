"""A large upload that is refused at its first line: clients that send everything before they listen read why."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.processes import Processes

LINE = b"79123456789,912,vip,Europe/Moscow\n"


@pytest.fixture(scope="module")
def url(postgres: str) -> Iterator[str]:
    """The header is refused before anything is stored, so that no database of its own is needed."""
    env = {
        "DATABASE_URL": postgres.replace("/?", "/template?"),
        "API_PORT": "0",
        "API_AUTH": "off",
        "LOG_FORMAT": "json",
    }
    with Processes(lambda _name, _line: None) as processes:
        processes.start("api", "api_service", env)
        port = processes.wait_line("api", r'"port": (\d+), "pid"')[1]
        processes.wait_http("api", f"http://127.0.0.1:{port}/health/live")
        yield f"http://127.0.0.1:{port}/clients/import/"


def by_urllib(url: str, file: Path) -> bytes:
    request = urllib.request.Request(url, data=file.read_bytes(), headers={"Content-Type": "text/csv"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    return refused.value.read()


def by_wget(url: str, file: Path) -> bytes:
    header = "--header=Content-Type: text/csv"
    return _output("wget", "-q", "-t", "1", "--content-on-error", "-O", "-", header, f"--post-file={file}", url)


def by_node(url: str, file: Path) -> bytes:
    script = (
        f"fetch('{url}', {{method: 'POST', headers: {{'Content-Type': 'text/csv'}},"
        f" body: require('fs').readFileSync('{file}')}}).then(r => r.text()).then(t => console.log(t))"
    )
    return _output("node", "-e", script)


def _output(program: str, *arguments: str) -> bytes:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return subprocess.run([program, *arguments], capture_output=True, timeout=60, check=False).stdout


@pytest.mark.parametrize("size", [6_800_000, 40_000_000])
@pytest.mark.parametrize("client", [by_urllib, by_wget, by_node])
def test_blocking_clients_read_the_refusal(
    url: str, tmp_path: Path, client: Callable[[str, Path], bytes], size: int
) -> None:
    file = tmp_path / "clients.csv"
    file.write_bytes(b"fone,code,tag,zone\n" + LINE * (size // len(LINE)))
    answer = json.loads(client(url, file))
    assert (answer["code"], answer["type"]) == (422, "invalid")
    assert set(answer["errors"]["header"]) == {"phone"}
