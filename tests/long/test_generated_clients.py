"""Clients that other programs make from the document, our own as it is installed, and the examples of README.md,
each against the running API. The programs come from PyPI and npm, by their versions."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.processes import Processes
from shared.database.engine import make_engine
from shared.ledger.entries import open_entries
from shared.messages.create import create_messages
from tests.support.server_process import program

ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).with_name("clients")
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
NODE_PACKAGES = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@20")


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    env = {"DATABASE_URL": database_url, "API_PORT": "0", "API_AUTH": "off", "API_RATE": "0", "LOG_FORMAT": "json"}
    with Processes(lambda _name, _line: None) as processes:
        processes.start("api", "api_service", env)
        port = processes.wait_line("api", r'"port": (\d+), "pid"')[1]
        processes.wait_http("api", f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{port}"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that has nothing of ours."""
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    return tmp_path / "venv/bin/python"


def install(python: Path, *packages: str | Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages, cwd=python.parent)


def fetch_document(url: str, path: Path) -> None:
    path.write_bytes(requests.get(f"{url}/openapi.json", timeout=10).content)


def test_a_client_made_by_openapi_python_client(url: str, python: Path, tmp_path: Path) -> None:
    install(python, PYTHON_GENERATOR)
    fetch_document(url, tmp_path / "openapi.json")
    said = run(python.with_name("openapi-python-client"), "generate", "--path", "openapi.json", cwd=tmp_path)
    warned = set(re.findall(r"WARNING parsing (.*)", said))
    files = {"POST /clients/import/ within imports.", "POST /suppressions/import/ within suppressions."}
    assert warned <= files, said  # of its types of a file one is taken
    assert set(re.findall(r"Unsupported .*", said)) <= {
        "Unsupported content type text/csv",
        "Unsupported content type application/x-ndjson",
    }
    made = tmp_path / "notification-service-client"
    models = {path.stem for path in (made / "notification_service_client/models").iterdir()}
    assert not {name for name in models if re.search(r"type_\d_type", name)}, "an enumeration comes more than once"
    shutil.copy(CLIENTS / "generated.py", made)
    run(python, "generated.py", url, cwd=made)


def test_types_made_by_openapi_typescript(url: str, tmp_path: Path) -> None:
    npm = program("npm", "npm")  # which brings Node
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run(npm, "install", "--silent", "--no-audit", "--no-fund", *NODE_PACKAGES, cwd=tmp_path)
    fetch_document(url, tmp_path / "openapi.json")
    programs = tmp_path / "node_modules/.bin"
    run(programs / "openapi-typescript", "openapi.json", "-o", "api.ts", cwd=tmp_path)
    shutil.copy(CLIENTS / "generated.ts", tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")
    run(programs / "tsc", *options, "--types", "node", "generated.ts", cwd=tmp_path)
    run("node", "generated.js", url, cwd=tmp_path)


def test_our_own_as_pip_installs_it(url: str, python: Path, tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    kept = shutil.ignore_patterns(".*", "tests", "docs", "__pycache__", "node_modules")
    shutil.copytree(ROOT, copy, ignore=kept)
    install(python, copy)
    program = (
        "import sys; from notification_client import ApiClient\n"
        "with ApiClient(sys.argv[1]) as client:\n"
        "    made = client.create_client('79123456789', tag='vip', reference='crm-1')\n"
        "    assert list(client.clients()) == [made]\n"
    )
    run(python, "-c", program, url, cwd=tmp_path)
    said = run(python, "-m", "api_service", "keys", "--help", cwd=tmp_path)
    assert "rotate" in said
    template = (
        "from importlib.resources import files; print(files('dispatcher_service.reporter') / 'templates/report.txt')"
    )
    assert Path(run(python, "-c", template, cwd=tmp_path).strip()).exists()
    assert "9999" not in run(python, "-c", "import shared.migrate", cwd=tmp_path)


def launch(database_url: str, mailing_id: int) -> None:
    """As the dispatchers do, of which there is none here."""
    engine = make_engine(database_url, "launch")
    with engine.begin() as connection, open_entries(connection, 1) as entries:
        create_messages(connection, entries, mailing_id, 1000)
    engine.dispose()


def test_the_examples_of_the_readme(url: str, database_url: str, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition("## Use it")[2].partition("\n| |")[0]
    script = "\n".join(line.removeprefix("    ") for line in text.splitlines() if line.startswith("    "))
    script = re.sub(r"^KEY=.*$", "KEY=X-None:", script, flags=re.M).replace("localhost:8000", shlex.quote(url))
    script = re.sub(r"^curl\b", "curl --silent --show-error --fail-with-body --write-out '\\\\n'", script, flags=re.M)
    lines = script.splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if "/messages/1/" in line)
    said = run("bash", "-euc", "".join(lines[:first]), cwd=tmp_path)
    launch(database_url, 1)
    key = next(line for line in lines if line.startswith("KEY="))
    said += run("bash", "-euc", key + "".join(lines[first:]), cwd=tmp_path)
    answers = [json.loads(line) for line in said.splitlines() if line.startswith(("{", "["))]
    states = [answer["state"] for answer in answers if "statistics" in answer]
    assert states[-3:] == ["paused", "paused", "draft"], "paused, shown, and its clone"
    assert [answer["created"] for answer in answers if "created" in answer] == [2]
