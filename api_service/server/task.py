"""One request in a thread."""

from typing import Any

from waitress.channel import ClientDisconnected
from waitress.task import WSGITask

from api_service.web.problems import Problem


class Task(WSGITask):  # type: ignore[misc]  # the library has no types
    """channel: a Connection."""

    def execute(self) -> None:
        """What goes wrong when the answer has begun leaves it without its last chunk, which tells the client."""
        try:
            super().execute()
        except Problem as problem:
            raise ClientDisconnected from problem

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        self.channel.server.proxies.apply(environ, self.channel.client)
        return environ

    def build_response_header(self) -> bytes:
        if self.channel.server.is_stopping or self.channel.has_unread_file:
            super().set_close_on_finish()
        head: bytes = super().build_response_header()
        return head

    def set_close_on_finish(self) -> None:
        """Not for want of a length where there is no body, after 204 and 304, as waitress would."""
        if self.has_body or self.version == "1.0" or self.request.connection_close:
            super().set_close_on_finish()

    def finish(self) -> None:
        super().finish()
        self.channel.flush()
