"""The systems of the end-to-end tests, here to be broken."""

import os
import random
import secrets

import pytest

from tests.e2e.conftest import broker, pytest_runtest_makereport, start_system

__all__ = ["broker", "chance", "pytest_runtest_makereport", "start_system"]


@pytest.fixture
def chance() -> random.Random:
    """What is random in a test; the seed that a failed one shows makes it do the same again."""
    seed = os.environ.get("FAULT_SEED") or str(secrets.randbelow(10**9))
    print(f"FAULT_SEED={seed}")
    return random.Random(seed)
