"""The port of a process's metrics, where several processes of one machine are given the same one."""

import errno
from collections.abc import Callable
from typing import TypeVar

from shared.domain.errors import SettingsError
from shared.logs import logger

Listening = TypeVar("Listening")


def listen_there_or_anywhere(listen: Callable[[int], Listening], port: int) -> Listening:
    """What `listen` gives for this port; where another process has it, for any free one, with a warning.

    Messages go out whether their figures are seen or not, and whoever starts a second dispatcher with the settings of
    the first wants a second dispatcher.

    Raises:
        SettingsError: the port cannot be used for another reason.
    """
    try:
        return listen(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _refused(port, error) from error
    logger().warning("metrics_port_taken", port=port, instead="any free one, which the start line names")
    try:
        return listen(0)
    except OSError as error:
        raise _refused(port, error) from error


def _refused(port: int, error: OSError) -> SettingsError:
    return SettingsError(f"METRICS_PORT {port} cannot be used: {error.strerror}.")
