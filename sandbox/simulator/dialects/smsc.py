"""SMSC.ru's dialect: a form, the password in it, and 200 with an error_code."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, form_of, is_between, phone_of
from sandbox.simulator.http1 import Request, json_response

_ERRORS = {
    Trouble.BROKEN: 1,
    Trouble.UNAUTHORIZED: 2,
    Trouble.UNPAID: 3,
    Trouble.REFUSED: 7,
    Trouble.LIMITED: 9,
    Trouble.DECLINED: 99,
}


class Smsc(Dialect):
    prefix = "/sys/send.php"

    def read(self, request: Request, token: str | None) -> Heard:
        form = form_of(request)
        if not form.get("login") or (token is not None and form.get("psw") != token):
            raise self.refusal(Trouble.UNAUTHORIZED, "authorise error")
        phone, number = phone_of(form.get("phones", "")), form.get("id", "")
        if not phone or not number.isdecimal() or not form.get("mes") or form.get("fmt") != "3":
            raise self.refusal(Trouble.BROKEN, "parameters error")
        if form.get("charset") != "utf-8" or not is_between(form.get("valid", "1"), 1, 24):
            raise self.refusal(Trouble.BROKEN, "parameters error")
        return Heard(int(number), phone, form["mes"], form.get("sender", ""), form.get("valid", ""))

    def ok(self, heard: Heard) -> bytes:
        return json_response(200, {"id": heard.id, "cnt": 1})

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        return json_response(200, {"error": why, "error_code": _ERRORS[trouble]})
