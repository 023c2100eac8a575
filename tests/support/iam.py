"""The identity provider that pytest-iam brings, for a test module: `pytest_plugins = ("tests.support.iam",)`, and then
the fixture `iam_server`. All other tests do without its plugin, which takes a second to load."""

from pytest_iam import iam_configuration, iam_server, iam_server_port

__all__ = ["iam_configuration", "iam_server", "iam_server_port"]
