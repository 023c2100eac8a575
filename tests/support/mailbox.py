"""A real SMTP server on a free port of this machine that keeps what it is given."""

import asyncio
import email
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Mail:
    """`encrypted`: it came over TLS. `user`: who had logged in."""

    message: EmailMessage
    recipients: list[str]
    encrypted: bool
    user: str | None

    def part(self, subtype: str) -> str:
        body = self.message.get_body((subtype,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


class Mailbox:
    """`on_mail` is called in a thread when a mail has come in and before that is confirmed; the answer that it
    returns, such as "451 later", is given instead of the confirmation.

    tls: offer STARTTLS, or with `from_start` take nothing else. login: the user and password to ask for.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        from_start: bool = False,
        login: tuple[str, str] | None = None,
        on_mail: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.mails: list[Mail] = []
        self.logins = 0  # attempts
        self.refused: set[str] = set()
        self.hangs_up_on_quit = False
        self.on_mail = on_mail
        self._login = login
        self._options: dict[str, Any] = {
            "ssl_context": tls if from_start else None,
            "tls_context": None if from_start else tls,
            "auth_required": login is not None,
            "auth_require_tls": tls is not None and not from_start,
            "authenticator": self._authenticate,
        }
        self._controller: Controller | None = None
        # Bound and never listened on, it keeps the port for this server while that is down.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind((HOST, 0))
        self.port: int = self._reservation.getsockname()[1]

    def start(self) -> None:
        self._controller = Controller(self, hostname=HOST, port=self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._reservation.close()

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False, auth_data=given[0])

    # ---- what aiosmtpd calls

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        mail = Mail(message, envelope.rcpt_tos, session.ssl is not None or self._from_start, session.auth_data)
        self.mails.append(mail)
        answer = await asyncio.get_running_loop().run_in_executor(None, self.on_mail)
        if answer:
            self.mails.remove(mail)
        return answer or "250 OK"

    async def handle_QUIT(self, server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        if self.hangs_up_on_quit:
            server.transport.abort()
        return "221 Bye"

    @property
    def _from_start(self) -> bool:
        return self._options["ssl_context"] is not None
