"""Work on one connection after the other: connect, serve, back off, stop."""

from collections.abc import Callable
from typing import TypeVar

from shared.broker.backoff import backoff

Loss = TypeVar("Loss", bound=Exception)


def keep_serving(
    serve: Callable[[Callable[[], None]], None],
    loss: type[Loss],
    lost: Callable[[Loss, float], None],
    *,
    is_over: Callable[[], bool],
    wait: Callable[[float], object],
) -> None:
    """Serves until it is over, and begins anew, after a pause, whenever the connection is lost.

    Args:
        serve: connects and works until its work ends. It calls what it is given whenever all is well: the next pause
            is then a short one again.
        loss: how a lost connection shows.
        lost: told of each loss and of the seconds of the pause that follows it.
        is_over: asked before each connection.
        wait: waits so many seconds, or less where it is told to stop.
    """
    pauses = backoff()

    def all_is_well() -> None:
        nonlocal pauses
        pauses = backoff()

    while not is_over():
        try:
            serve(all_is_well)
        except loss as error:
            pause = next(pauses)
            lost(error, pause)
            wait(pause)
