"""The default dialect."""

import json

from sandbox.simulator.dialects.base import Dialect, Heard, Trouble
from sandbox.simulator.http1 import BadRequest, Request, json_response

_FIELDS = {"id": int, "phone": int, "text": str}
_OK = json_response(200, {"code": 0, "message": "OK"})
_STATUSES = {
    Trouble.BROKEN: 400,
    Trouble.UNAUTHORIZED: 401,
    Trouble.UNPAID: 402,
    Trouble.REFUSED: 400,
    Trouble.LIMITED: 429,
}


class Seed(Dialect):
    prefix = "/v1/send/"

    def read(self, request: Request, token: str | None) -> Heard:
        if request.method != "POST":
            raise BadRequest(405, "only POST")
        if token is not None and request.headers.get("authorization") != f"Bearer {token}":
            raise BadRequest(401, "Authorization is not Bearer and the token")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest(400, "Content-Type is not application/json")
        try:
            message = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(400, "the body is not JSON") from error
        if not isinstance(message, dict) or {name: type(value) for name, value in message.items()} != _FIELDS:
            raise BadRequest(400, "the body is not an object of id (integer), phone (integer) and text (string)")
        if min(message["id"], message["phone"]) <= 0:
            raise BadRequest(400, "id and phone must be above 0")
        if request.path[len(self.prefix) :] != str(message["id"]):
            raise BadRequest(400, "the id in the path is not the one in the body")
        return Heard(message["id"], message["phone"], message["text"])

    def ok(self, heard: Heard) -> bytes:  # noqa: ARG002 - the answer is the same for all
        return _OK

    def no(self, trouble: Trouble, why: str = "simulated") -> bytes:
        if trouble is Trouble.DECLINED:
            return json_response(200, {"code": 7, "message": "the queue is full"})
        status = _STATUSES[trouble]
        return json_response(status, {"code": status, "message": why})
