"""Where providers send their receipts. Not for users: each comes as its profile says, and is authenticated by it."""

import logging
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, quote

from flask import Flask, Request, Response, current_app, jsonify
from flask.views import MethodView
from marshmallow import Schema, fields
from werkzeug.exceptions import RequestEntityTooLarge

from api_service.tracking.receivers import Receivers
from api_service.tracking.taking import Taking
from api_service.web.blueprint import Blueprint
from api_service.web.coding import decoded
from api_service.web.parts import asked
from api_service.web.problems import (
    BrokenOff,
    Forged,
    NoReceipts,
    NoSuchMethod,
    NotFound,
    NotJson,
    Problem,
    TooLarge,
    TooMany,
    Unavailable,
    WrongCredentials,
    WrongType,
)
from api_service.web.rate import Rate
from api_service.web.refusal import Refusal
from api_service.web.request_log import RequestLog
from api_service.web.schema import described
from shared.domain.masking import without_phones
from shared.domain.profile import receiving
from shared.domain.profile.receipts import Kind
from shared.domain.profile.receiving import MAX_BYTES, Incoming, Pairs, Read, Receiver
from shared.metrics import RECEIPTS

blueprint = Blueprint("Receipts", "What providers say later of messages.", "/receipts", is_open=True)

_FIELDS = 1000
"""Of a form or a query."""


class TakenSchema(Schema):
    """Unless the provider's profile says that something else is answered."""

    taken = fields.Integer(required=True, metadata=described("Receipts of messages of ours.", example=1))
    unmatched = fields.Integer(
        required=True,
        metadata=described(
            "Receipts of messages that nobody knows. Where the provider has a name of its own for a message, it is kept"
            " for an hour: it may have overtaken the answer to our call.",
            example=0,
        ),
    )
    unlisted = fields.Integer(
        required=True, metadata=described("Receipts whose status the profile does not know.", example=0)
    )
    unreadable = fields.Integer(
        required=True, metadata=described("What names no message, or says nothing of one.", example=0)
    )


_TAKEN = {"taken": 1, "unmatched": 0, "unlisted": 0, "unreadable": 0}
_NOBODYS = _TAKEN | {"taken": 0, "unmatched": 1}
_PROVIDER = {
    "in": "path",
    "name": "provider",
    "description": "Its name, as its profile has it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "example": "seed",
}
_BODY = {
    "description": "As the provider's profile says; at most 1 MiB and 10 000 receipts.",
    "required": False,
    "content": {
        "application/json": {"schema": {}, "example": [{"id": 1, "status": "delivered"}]},
        "application/x-www-form-urlencoded": {
            "schema": {"type": "object"},
            "example": {"id": "1", "status": "delivered"},
        },
    },
}
_FAILS: tuple[type[Problem], ...] = (
    *(NotJson, NoReceipts, BrokenOff, WrongCredentials, Forged, NotFound, NoSuchMethod, TooLarge, WrongType),
    *(TooMany, Unavailable),
)


@blueprint.route("/<provider>/", parameters=[_PROVIDER])
class Receipts(MethodView):
    @blueprint.alt_response(202, schema=TakenSchema, example=_NOBODYS)  # type: ignore[untyped-decorator]
    @blueprint.operation("getReceipt", answer=TakenSchema, gives=_TAKEN, fails=_FAILS)
    def get(self, provider: str) -> Response:
        """Take a receipt from the query

        For providers that call an address: see `POST`.
        """
        return _answered(provider)

    @blueprint.doc(requestBody=_BODY)  # type: ignore[untyped-decorator]
    @blueprint.alt_response(202, schema=TakenSchema, example=_NOBODYS)  # type: ignore[untyped-decorator]
    @blueprint.operation("postReceipts", answer=TakenSchema, gives=_TAKEN, fails=_FAILS)
    def post(self, provider: str) -> Response:
        """Take receipts

        It needs no API key: it is authenticated as the provider's profile says, and changes nothing but what is known
        of the delivery. Where the profile has a secret in the address, it stands behind the provider's name. Sending
        the same again is harmless, and in which order they come does not matter. The answer is 202 where some are about
        messages that nobody knows; what it says otherwise is the profile's to say.
        """
        return _answered(provider)


class ReceiptsWithSecret(MethodView):
    """The same, where a secret stands in the address. The log does not have it."""

    def get(self, provider: str, secret: str) -> Response:
        return _answered(provider, secret)

    def post(self, provider: str, secret: str) -> Response:
        return _answered(provider, secret)

    get.scope = post.scope = None  # type: ignore[attr-defined]  # open, as those above are


def register(app: Flask, receivers: Receivers, taking: Taking, public_url: str | None) -> None:
    """public_url: by which the providers know this service; None: by that of their requests."""
    app.extensions |= {"receivers": receivers, "taking": taking, "public_url": public_url}
    with_secret = ReceiptsWithSecret.as_view("receipts_with_secret")
    app.add_url_rule("/receipts/<provider>/<path:secret>", view_func=with_secret)


def _answered(provider: str, secret: str = "") -> Response:
    """Raises what `_FAILS` names."""
    receivers = cast(Receivers, current_app.extensions["receivers"])
    rate = cast(Rate, current_app.extensions["rate"])
    request = asked()
    stranger = f"address {request.remote_addr}"
    known = receivers.find(provider)
    if known is None:
        _count(rate, stranger)
        raise NotFound("There is no provider of this name that sends receipts.")
    if rate.is_used_up(stranger):
        raise TooMany(Refusal.RATE, "Too many requests in this second that are not the provider's.")
    if request.method not in known.receipts.methods:
        raise NoSuchMethod("The receipts of this provider come otherwise.", Allow=", ".join(known.receipts.methods))
    incoming = _incoming(request, secret)
    receiver = receivers.authentic(provider, incoming)
    if receiver is None:
        _count(rate, stranger)
        kind = WrongCredentials if known.receipts.authentication.kind is Kind.BASIC else Forged
        raise kind()
    return _taken(provider, receiver, incoming)


def _count(rate: Rate, stranger: str) -> None:
    """Whoever guesses names and secrets has the rate of any other stranger; the provider itself has none."""
    if not rate.allows(stranger):
        raise TooMany(Refusal.RATE, "Too many requests in this second that are not the provider's.")


def _taken(provider: str, receiver: Receiver, incoming: Incoming) -> Response:
    try:
        read = receiver.read(incoming)
    except receiving.NotReadable as error:
        RECEIPTS.labels(provider, "unreadable").inc()
        raise _PROBLEMS[error.why](str(error)) from error
    _note(provider, read)
    if read.unreadable and not read.receipts and not read.unlisted:
        raise NoReceipts("Nothing in it names a message and says what became of it, where the profile has that.")
    unknown = cast(Taking, current_app.extensions["taking"]).take(provider, read.receipts) if read.receipts else 0
    answer = receiver.receipts.answer
    if answer.body or answer.status == HTTPStatus.NO_CONTENT:
        response = Response(answer.body, content_type=f"{answer.content_type}; charset=utf-8")
    else:
        response = jsonify(
            taken=len(read.receipts) - unknown,
            unmatched=unknown,
            unlisted=read.unlisted.total(),
            unreadable=read.unreadable,
        )
    response.status_code = HTTPStatus.ACCEPTED if unknown else answer.status
    return response


_PROBLEMS = {
    receiving.Why.NOT_JSON: NotJson,
    receiving.Why.NO_LIST: NoReceipts,
    receiving.Why.TOO_MANY: TooLarge,
}


def _note(provider: str, read: Read) -> None:
    if read.unreadable:
        RECEIPTS.labels(provider, "unreadable").inc(read.unreadable)
    if not read.unlisted:
        return
    RECEIPTS.labels(provider, "unlisted").inc(read.unlisted.total())
    log = cast(RequestLog, current_app.extensions["request_log"])
    for word in read.unlisted:
        if len(_TOLD) < _MOST_TOLD and (provider, word) not in _TOLD:
            _TOLD.add((provider, word))
            log.always(logging.WARNING, "receipt_status_unlisted", provider=provider, word=without_phones(word))


_TOLD: set[tuple[str, str]] = set()
"""Once in the life of a process."""
_MOST_TOLD = 200


def _incoming(request: Request, secret: str) -> Incoming:
    """Raises BrokenOff, TooLarge, WrongType, NoReceipts."""
    request.max_content_length = MAX_BYTES + 1
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        raise TooLarge(_TOO_LARGE) from error
    if len(body) > MAX_BYTES:
        raise TooLarge(_TOO_LARGE)
    body = b"".join(decoded(request, [body] if body else [], MAX_BYTES))
    is_form = request.mimetype == "application/x-www-form-urlencoded"
    query = request.query_string.decode("latin-1")
    base = current_app.extensions["public_url"] or request.url_root.rstrip("/")
    return Incoming(
        method=request.method,
        url=f"{base}{quote(request.path)}{'?' if query else ''}{query}",
        rest=secret,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=_pairs(query),
        form=_pairs(body.decode("latin-1")) if is_form else (),
        body=body,
    )


_TOO_LARGE = f"The body has more than {MAX_BYTES // 2**20} MiB."


def _pairs(text: str) -> Pairs:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise NoReceipts(f"There are more than {_FIELDS} fields.") from error
