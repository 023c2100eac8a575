"""For a test module: `pytest_plugins = ("tests.support.api_fixture",)`, and then the fixture by name."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.support.api import Api


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    """Its ledger must balance at the end."""
    api = Api(engine)
    yield api
    api.assert_balanced()
