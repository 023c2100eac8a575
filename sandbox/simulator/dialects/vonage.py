"""Vonage's dialect: a form, and 200 whatever is wrong; the number of the error stands in the answer."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, form_of, is_between, password_of, phone_of
from sandbox.simulator.http1 import Request, json_response

_ERRORS = {
    Trouble.BROKEN: "2",
    Trouble.UNAUTHORIZED: "4",
    Trouble.UNPAID: "9",
    Trouble.REFUSED: "7",
    Trouble.LIMITED: "1",
    Trouble.DECLINED: "5",
}


class Vonage(Dialect):
    prefix = "/sms/json"

    def read(self, request: Request, token: str | None) -> Heard:
        form = form_of(request)
        if token is not None and token not in (password_of(request), form.get("api_secret")):
            raise self.refusal(Trouble.UNAUTHORIZED, "Bad Credentials")
        phone, number = phone_of(form.get("to", "")), form.get("client-ref", "")
        if request.method != "POST" or not phone or not form.get("from") or not form.get("text"):
            raise self.refusal(Trouble.BROKEN, "Missing to, from or text")
        is_ascii = form["text"].isascii()
        if not number.isdecimal() or form.get("type", "text") not in ("text",) * is_ascii + ("unicode",):
            raise self.refusal(Trouble.BROKEN, "Missing client-ref, or the type does not fit the text")
        if not is_between(form.get("ttl", "20000"), 20_000, 604_800_000):
            raise self.refusal(Trouble.BROKEN, "Invalid ttl")
        return Heard(int(number), phone, form["text"], form["from"], form.get("ttl", ""), form.get("callback", ""))

    def ok(self, heard: Heard) -> bytes:
        parts = 1 + len(heard.text) // 161
        message = {"to": str(heard.phone), "status": "0", "remaining-balance": "15.53590000", "network": "25001"}
        messages = [{**message, "message-id": f"{heard.id:08X}{part:04X}"} for part in range(parts)]
        return json_response(200, {"message-count": str(parts), "messages": messages})

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        return json_response(200, {"message-count": "1", "messages": [{"status": _ERRORS[trouble], "error-text": why}]})
