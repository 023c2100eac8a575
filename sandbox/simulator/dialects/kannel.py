"""Kannel's dialect: GET, and plain text."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, phone_of, query_of
from sandbox.simulator.http1 import Request, response

_ERRORS = {
    Trouble.BROKEN: (400, "Missing receiver number, rejected"),
    Trouble.UNAUTHORIZED: (403, "Authorization failed for sendsms"),
    Trouble.UNPAID: (403, "Authorization failed for sendsms"),
    Trouble.REFUSED: (400, "Not routable. Message rejected."),
    Trouble.LIMITED: (429, "Too many requests"),
    Trouble.DECLINED: (503, "Temporal failure, try again later."),
}


class Kannel(Dialect):
    prefix = "/cgi-bin/sendsms"

    def read(self, request: Request, token: str | None) -> Heard:
        query = query_of(request)
        if not query.get("username") or (token is not None and query.get("password") != token):
            raise self.refusal(Trouble.UNAUTHORIZED, _ERRORS[Trouble.UNAUTHORIZED][1])
        phone = phone_of(query.get("to", ""))
        if request.method != "GET" or not phone or not query.get("text"):
            raise self.refusal(Trouble.BROKEN, _ERRORS[Trouble.BROKEN][1])
        if query.get("coding") not in (("0", "2") if query["text"].isascii() else ("2",)):
            raise self.refusal(Trouble.BROKEN, "the coding does not fit the text")
        return Heard(
            phone, phone, query["text"], query.get("from", ""), query.get("validity", ""), query.get("dlr-url", "")
        )

    def ok(self, heard: Heard) -> bytes:  # noqa: ARG002 - the answer is the same for all
        return response(202, b"0: Accepted for delivery", content_type="text/html")

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        status, said = _ERRORS[trouble]
        return response(status, (said if why == "simulated" else why).encode(), content_type="text/html")
