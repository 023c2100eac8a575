"""Infobip's dialect: nested JSON, an early status in the answer."""

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble, at, document_of, phone_of
from sandbox.simulator.http1 import Request, json_response

_STATUSES = {
    Trouble.UNPAID: (5, "REJECTED", 12, "REJECTED_NOT_ENOUGH_CREDITS"),
    Trouble.REFUSED: (5, "REJECTED", 6, "REJECTED_NETWORK"),
}
_ERRORS = {Trouble.BROKEN: 400, Trouble.UNAUTHORIZED: 401, Trouble.LIMITED: 429, Trouble.DECLINED: 500}


class Infobip(Dialect):
    prefix = "/sms/3/messages"

    def read(self, request: Request, token: str | None) -> Heard:
        if token is not None and request.headers.get("authorization") != f"App {token}":
            raise self.refusal(Trouble.UNAUTHORIZED, "Invalid login details")
        message = at(document_of(request), "messages", 0)
        phone = phone_of(str(at(message, "destinations", 0, "to")))
        number, text = at(message, "destinations", 0, "messageId"), at(message, "content", "text")
        sender, validity = at(message, "sender"), at(message, "options", "validityPeriod", "amount")
        if not phone or not str(number).isdecimal() or not isinstance(text, str) or not isinstance(sender, str):
            raise self.refusal(Trouble.BROKEN, "messages[0] is not as it should be")
        if type(validity) is not int:
            raise self.refusal(Trouble.BROKEN, "options.validityPeriod.amount is no number")
        return Heard(int(number), phone, text, sender, str(validity), at(message, "webhooks", "delivery", "url") or "")

    def ok(self, heard: Heard) -> bytes:
        return self._status(str(heard.id), (1, "PENDING", 26, "PENDING_ACCEPTED"), "Message sent to next instance")

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        if trouble in _STATUSES:
            return self._status("1", _STATUSES[trouble], why)
        status = _ERRORS[trouble]
        return json_response(status, {"errorCode": f"E{status}", "description": why, "violations": []})

    def _status(self, number: str, status: tuple[int, str, int, str], why: str) -> bytes:
        told = dict(zip(("groupId", "groupName", "id", "name"), status, strict=True))
        message = {"messageId": number, "status": {**told, "description": why}, "destination": "x"}
        return json_response(200, {"bulkId": "1", "messages": [message]})
