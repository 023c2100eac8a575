"""For a test module: `pytest_plugins = ("tests.support.keys_command_fixture",)`, and then the fixture by name."""

import pytest

from api_service.access import command
from shared import settings
from tests.support.keys_command import Done, Run


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, url: str = database_url) -> Done:
        monkeypatch.setenv("DATABASE_URL", url)
        try:
            code: int | str | None = command.run(command.options(arguments), settings.load())
        except SystemExit as end:
            code = end.code
        return Done(code, *capsys.readouterr())

    return run
