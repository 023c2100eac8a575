"""Twilio's dialect: a form, basic authentication, and errors with a status of HTTP and a code."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, form_of, is_between, password_of, phone_of
from sandbox.simulator.http1 import Request, json_response

_ERRORS = {
    Trouble.BROKEN: (400, 21602),
    Trouble.UNAUTHORIZED: (401, 20003),
    Trouble.UNPAID: (402, 20005),
    Trouble.REFUSED: (400, 21211),
    Trouble.LIMITED: (429, 20429),
    Trouble.DECLINED: (503, 20503),
}


class Twilio(Dialect):
    prefix = "/2010-04-01/Accounts/"

    def read(self, request: Request, token: str | None) -> Heard:
        if token is not None and password_of(request) != token:
            raise self.refusal(Trouble.UNAUTHORIZED, "Authenticate")
        form = form_of(request)
        phone = phone_of(form.get("To", ""))
        if request.method != "POST" or not request.path.endswith("/Messages.json"):
            raise self.refusal(Trouble.BROKEN, "POST …/Messages.json")
        if not phone or not form["To"].startswith("+") or not form.get("From") or not form.get("Body"):
            raise self.refusal(Trouble.BROKEN, "To, From and Body are needed")
        if not is_between(form.get("ValidityPeriod", "1"), 1, 36_000):
            raise self.refusal(Trouble.BROKEN, "Invalid validity period value")
        return Heard(
            phone, phone, form["Body"], form["From"], form.get("ValidityPeriod", ""), form.get("StatusCallback", "")
        )

    def ok(self, heard: Heard) -> bytes:
        body = {"sid": f"SM{heard.id:032x}", "status": "queued", "error_code": None, "to": f"+{heard.phone}"}
        return json_response(201, body)

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        status, code = _ERRORS[trouble]
        more = f"https://www.twilio.com/docs/errors/{code}"
        return json_response(status, {"code": code, "message": why, "more_info": more, "status": status})
