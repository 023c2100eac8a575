"""Mail over SMTP: STARTTLS or TLS from the start, and login."""

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.domain.errors import NotificationError, SettingsError

TIMEOUT = 30.0
"""Seconds for each step of the conversation with the server."""

_PORTS = {"smtp": 587, "smtps": 465}  # submission: RFC 6409, RFC 8314


class MailError(NotificationError):
    """The server did not take the mail, or it cannot be known whether it did; worth another try."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. Safe to share; each mail has its own connection."""

    host: str
    port: int
    tls: bool  # from the start; else STARTTLS where it is offered
    user: str | None
    password: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False, compare=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`smtp://user:password@host:port` or `smtps://…`, user and password percent-encoded.

        `?cafile=/path` names the certificates to trust instead of the machine's. Without a port: 587, or 465 for smtps.
        Raises SettingsError.
        """
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(user) != bool(password):
            raise SettingsError("SMTP_URL must name both a user and a password, or neither.")
        if not (user + password).isascii():
            raise SettingsError("SMTP_URL must name a user and a password in ASCII.")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        cafile = options.pop("cafile", None)
        if options or parts.path not in ("", "/") or parts.fragment:
            raise SettingsError("SMTP_URL may have nothing after the port but ?cafile=/path/of/certificates.")
        try:
            context = ssl.create_default_context(cafile=cafile)
        except OSError as error:
            raise SettingsError(f"SMTP_URL names a cafile that cannot be read: {error.strerror}.") from error
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        return cls(host, port, parts.scheme == "smtps", user or None, password, context)

    def send(self, message: EmailMessage) -> list[str]:
        """Hands the mail in; the recipients that the server refused while it took the others. Raises MailError."""
        try:
            connection = self._connect()
            try:
                self._prepare(connection)
                refused = list(connection.send_message(message))
                _say_goodbye(connection)
                return refused
            finally:
                connection.close()
        except (OSError, UnicodeError) as error:  # smtplib's errors are OSErrors; UnicodeError: no such host name
            raise MailError(f"{self.host}:{self.port}: {_said(error)}") from error

    def _connect(self) -> smtplib.SMTP:
        if self.tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=self.context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)

    def _prepare(self, connection: smtplib.SMTP) -> None:
        connection.ehlo()
        if not self.tls and connection.has_extn("starttls"):
            connection.starttls(context=self.context)
        elif not self.tls and self.user:
            raise MailError(f"{self.host}:{self.port} offers no STARTTLS; a password is not sent in clear text")
        if self.user:
            connection.login(self.user, self.password)


def _say_goodbye(connection: smtplib.SMTP) -> None:
    """The mail is taken: whatever the server does now changes nothing, and is not worth a long wait."""
    with suppress(OSError):
        if connection.sock:
            connection.sock.settimeout(2.0)
        connection.quit()


def _said(error: Exception) -> str:
    """What went wrong, in one line."""
    match error:
        case smtplib.SMTPResponseException():
            reply = error.smtp_error
            said = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
            return " ".join(f"{error.smtp_code} {said}".split())
        case smtplib.SMTPRecipientsRefused():
            code, reply = next(iter(error.recipients.values()))
            return " ".join(f"all recipients refused: {code} {reply.decode('utf-8', 'replace')}".split())
    return " ".join(f"{type(error).__name__}: {error}".split())
