"""Parts of pages that look for what is new by themselves: made once for all who look within a second.

Two hundred readers of one page would else cost an API more than everything that programs ask of it.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from typing import Any

from flask import Response, current_app, g

from api_service.console import formats
from api_service.console.language import chosen
from api_service.console.pages import blueprint
from api_service.web.key import Caller, Scope
from api_service.web.parts import asked
from shared import clock

SHARED_FOR = 1.0
"""Seconds. Whoever looks by themselves does so every two at the most often."""

View = Callable[..., Response]
_NAME = "looks"


@dataclass(slots=True)
class _Look:
    since: float
    lock: Lock = field(default_factory=Lock)
    response: Response | None = None


class Looks:
    """What readers were shown in the last second, by what makes a difference. For all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looks: dict[Hashable, _Look] = {}

    def at(self, what: Hashable, make: Callable[[], Response]) -> Response:
        """Whoever comes first makes it, those who come meanwhile wait for it. What cannot be made is tried by each."""
        look = self._find(what)
        with look.lock:
            if look.response is None:
                look.response = make()
        return Response(look.response.get_data(), look.response.status_code, list(look.response.headers))

    def _find(self, what: Hashable) -> _Look:
        now = clock.ticks()
        with self._lock:
            look = self._looks.get(what)
            if look is None or now - look.since >= SHARED_FOR:
                self._looks = {key: one for key, one in self._looks.items() if now - one.since < SHARED_FOR}
                look = self._looks[what] = _Look(now)
            return look


@blueprint.record
def _register(state: Any) -> None:
    state.app.extensions[_NAME] = Looks()


def shared(view: View) -> View:
    """Of a part that is the same for all readers who may do the same, in one language and time zone."""

    @wraps(view)
    def looked_at(**values: Any) -> Response:
        looks: Looks = current_app.extensions[_NAME]
        what = (asked().script_root, asked().full_path, chosen().code, formats.zone().key, _sees())
        return looks.at(what, lambda: view(**values))

    return looked_at


def _sees() -> Scope | None:
    """What makes a difference between readers: those who may do the same see the same. None: nobody signs in."""
    reader: Caller | None = g.get("key")
    return None if reader is None else reader.scope
