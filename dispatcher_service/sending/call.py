"""A provider call as libcurl makes it, and the connections that are kept for the next ones."""

import io
import ssl
from collections.abc import Callable

import pycurl

from dispatcher_service.sending.attempt import Attempt
from dispatcher_service.sending.dialect import Dialect, Failure
from dispatcher_service.sending.sockets import Sockets
from shared.clock import ticks
from shared.domain.profile.answer import MAX_BODY, Answer

LONGEST_CONNECT = 5.0

_E_TOO_LARGE = 100  # CURLE_TOO_LARGE, for which pycurl has no name

_NO_ANSWER = {
    pycurl.E_PARTIAL_FILE,  # the body is shorter than announced
    pycurl.E_FILESIZE_EXCEEDED,  # the body is too long
    _E_TOO_LARGE,  # the headers are too long or too many
    pycurl.E_FTP_WEIRD_SERVER_REPLY,  # no HTTP
    pycurl.E_UNSUPPORTED_PROTOCOL,  # HTTP/0.9
    pycurl.E_BAD_CONTENT_ENCODING,
}


class Kept:
    """The connections that libcurl keeps after an answer, and whether they are fit for another call.

    libcurl itself has a look at each only once a second. In between it would write to one that the provider has
    closed, or take what came behind the last answer for the answer to the next call.
    """

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._descriptors: dict[int, int] = {}  # by local port

    def add(self, handle: pycurl.Curl) -> None:
        """After an answer. One of HTTP/2 carries many calls at once, so there is always something to read."""
        descriptor = handle.getinfo(pycurl.ACTIVESOCKET)  # -1: the connection was not kept
        if descriptor >= 0 and handle.getinfo(pycurl.INFO_HTTP_VERSION) in _HTTP_1:
            self._descriptors[handle.getinfo(pycurl.LOCAL_PORT)] = descriptor

    def is_fit(self, our_port: int) -> bool:
        descriptor = self._descriptors.pop(our_port, None)
        return descriptor is None or self._sockets.is_quiet(descriptor)


_HTTP_1 = (pycurl.CURL_HTTP_VERSION_1_0, pycurl.CURL_HTTP_VERSION_1_1)


class Call:
    """One libcurl handle, used for one attempt after the other."""

    def __init__(self, opened: Callable[[int, int], int], kept: Kept, timeout: float) -> None:
        """opened: told of the socket of every connection that the call makes."""
        self.attempt: Attempt
        self.started = 0.0
        self._write_by = 0.0
        self._timeout = timeout
        self._kept = kept
        self.was_repeated = False
        """Whether libcurl wanted to write the request a second time."""
        self._was_asked = False
        self._headers: list[str] | None = None
        self._method = ""
        self._connect = min(timeout, LONGEST_CONNECT)
        self._request = io.BytesIO()
        self._chunks: list[bytes] = []
        self.handle = handle = pycurl.Curl()
        handle.setopt(pycurl.USERAGENT, "notification-service")
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.PROXY, "")  # what is in the environment of a container does not reroute the messages
        handle.setopt(pycurl.TIMEOUT_MS, int(timeout * 1000))
        handle.setopt(pycurl.SOCKOPTFUNCTION, opened)
        handle.setopt(pycurl.PREREQFUNCTION, self._check)
        # These are C's own functions: one of Python's is called a million times, too.
        handle.setopt(pycurl.WRITEFUNCTION, self._chunks.append)
        handle.setopt(pycurl.MAXFILESIZE, MAX_BODY)  # of an answer, also while it comes in
        # The body comes through a function that libcurl cannot rewind. Given as a string, libcurl would send it a
        # second time by itself when a kept connection breaks after the first: a repeat that nobody counts.
        handle.setopt(pycurl.READFUNCTION, self._request.read)
        # Without PIPEWAIT: with a provider that has no HTTP/2, all calls would wait for the answer to the first.
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        authorities = ssl.get_default_verify_paths().cafile  # so SSL_CERT_FILE may name others than the system's
        if authorities:
            handle.setopt(pycurl.CAINFO, authorities)

    def prepare(self, dialect: Dialect, attempt: Attempt, now: float) -> None:
        """dialect: of the provider that is called; it may change from one call to the next."""
        maker, message = dialect.maker, attempt.message
        sender, validity = message.sender or maker.sender, None
        if maker.tells_validity:
            validity = seconds_left(attempt, now)
        form = maker.form(sender, validity)
        self.attempt = attempt
        self.started = now
        self._write_by = min(attempt.deadline, attempt.lease_until - self._timeout)
        self._chunks.clear()
        # A connection that is made only after the deadline must not carry the message.
        connect = max(0.001, min(self._connect, attempt.deadline - now))
        self.handle.setopt(pycurl.URL, form.url(message, sender, validity))
        headers = form.fixed_headers
        if headers is None:
            headers = [write(message, sender, validity) for write in form.headers]
        if headers is not self._headers:
            self._headers = headers
            self.handle.setopt(pycurl.HTTPHEADER, headers)
        if maker.method != self._method:
            self._use(maker.method)
        if maker.method != "GET":
            body = form.body(message, sender, validity).encode() if form.body else b""
            self._request.seek(0)
            self._request.truncate()
            self._request.write(body)
            self._request.seek(0)
            self.handle.setopt(pycurl.POSTFIELDSIZE, len(body))
        self._was_asked = False
        self.was_repeated = False
        self.handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(connect * 1000)))

    def _use(self, method: str) -> None:
        self._method = method
        self.handle.setopt(pycurl.HTTPGET if method == "GET" else pycurl.POST, 1)
        if method not in ("GET", "POST"):
            self.handle.setopt(pycurl.CUSTOMREQUEST, method)
        else:
            self.handle.unsetopt(pycurl.CUSTOMREQUEST)

    def make(self) -> tuple[Answer | Failure, str]:
        """Makes a call that is prepared, and waits for it; where there is no answer, with libcurl's words."""
        try:
            self.handle.perform()
        except pycurl.error as error:
            return self.failure(int(error.args[0])), str(error.args[-1])
        return self.answer(), ""

    def answer(self) -> Answer:
        status, body = self.handle.getinfo(pycurl.RESPONSE_CODE), b"".join(self._chunks)
        if status == 200:
            return Answer(status, body)
        return Answer(status, body, float(max(0, self.handle.getinfo(pycurl.RETRY_AFTER))))

    def failure(self, code: int) -> Answer | Failure:
        """What libcurl's error means for the message. The size of the request stays 0 until some of it is written.

        A status that came says what the provider thinks of it, even if the rest of the answer is lost, unless it
        sounds like success: then the rest is what counts.
        """
        if self.handle.getinfo(pycurl.REQUEST_SIZE) == 0:
            return Failure.NOT_SENT
        if self.handle.getinfo(pycurl.RESPONSE_CODE) >= 300:
            return self.answer()
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Failure.TIMED_OUT
        return Failure.BROKEN if code in _NO_ANSWER else Failure.LOST

    def _check(self, _their_address: str, _our_address: str, _their_port: int, our_port: int) -> int:
        """Asked immediately before the request is written. A process that was frozen since it looked whether the call
        may be begun looks again here, where nothing that takes time is left to be done.

        Asked twice, libcurl is about to repeat by itself a request without a body, whose connection broke: a repeat
        that nobody counts.
        """
        if self._was_asked and self._method == "GET":
            self.was_repeated = True
            return pycurl.PREREQFUNC_ABORT
        self._was_asked = True
        if ticks() > self._write_by or not self._kept.is_fit(our_port):
            return pycurl.PREREQFUNC_ABORT
        return pycurl.PREREQFUNC_OK


def seconds_left(attempt: Attempt, now: float) -> int:
    """Until the end of the mailing: how long the message is worth delivering."""
    return int(attempt.clock.ticks_at(attempt.message.ends_at) - now)
