"""The systems of the end-to-end tests, here to be broken."""

from tests.e2e.conftest import broker, pytest_runtest_makereport, start_system

__all__ = ["broker", "pytest_runtest_makereport", "start_system"]
