"""SMS Aero's dialect: JSON, basic authentication, `success`."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, at, document_of, password_of, phone_of
from sandbox.simulator.http1 import Request, json_response

_ERRORS = {
    Trouble.BROKEN: (400, "Validation error."),
    Trouble.UNAUTHORIZED: (401, "Your request was made with invalid credentials."),
    Trouble.UNPAID: (402, "Not enough money."),
    Trouble.REFUSED: (400, "Validation error."),
    Trouble.LIMITED: (429, "Too many requests."),
    Trouble.DECLINED: (500, "Internal error."),
}


class SmsAero(Dialect):
    prefix = "/v2/sms/send"

    def read(self, request: Request, token: str | None) -> Heard:
        if token is not None and password_of(request) != token:
            raise self.refusal(Trouble.UNAUTHORIZED, "")
        body = document_of(request)
        phone, text, sign = phone_of(str(at(body, "number"))), at(body, "text"), at(body, "sign")
        if not phone or not isinstance(text, str) or not text or not isinstance(sign, str) or not sign:
            raise self.refusal(Trouble.BROKEN, "")
        return Heard(phone, phone, text, sign, receipt_url=at(body, "callbackUrl") or "")

    def ok(self, heard: Heard) -> bytes:
        data = {"id": heard.id, "from": heard.sender, "number": str(heard.phone), "status": 0, "extendStatus": "queue"}
        return json_response(200, {"success": True, "data": data, "message": None})

    def no(self, trouble: Trouble, why: str = "") -> bytes:
        status, message = _ERRORS[trouble]
        return json_response(status, {"success": False, "data": None, "message": why or message})
