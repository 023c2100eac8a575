"""/console/suppressions/: phones that must not be written to."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import ValidationError

from api_service.console import formats, rendering
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.console.query import after
from api_service.directory import suppressing
from api_service.directory.files.phone_spellings import NotAPhone, normalised
from api_service.directory.suppression_schema import SuppressionSchema
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import asked, parts, working
from api_service.web.schema import new

_SIZE = 25
_SCHEMA = new(SuppressionSchema)
_SOURCE = "console"


@page("/suppressions/")
def suppressions() -> Response:
    """The list, or the one of a phone in any spelling that an import takes."""
    given = asked().args.get("phone", "").strip()
    if not given:
        return _list()
    try:
        phone = normalised(given)
    except NotAPhone as error:
        return _list(phone=given, fault=str(error))
    found = suppressing.list_part(working(), parts().digests, After(0, 1), int(phone)).rows
    return see(f"/suppressions/{found[0].id}/") if found else _list(phone=given, is_free=True)


@page("/suppressions/", scope=Scope.WRITE, methods=["POST"])
def suppress_phone() -> Response:
    form = asked().form
    phone, why = form.get("phone", "").strip(), form.get("reason", "").strip()
    try:
        made = suppress(normalised(phone), why)
    except NotAPhone as error:
        return _list(entered=phone, reason=why, faults={"phone": [str(error)]})
    except ValidationError as error:
        return _list(entered=phone, reason=why, faults=error.messages_dict)
    return see(f"/suppressions/{made.id}/")


def suppress(phone: str, why: str) -> suppressing.Shown:
    """As the API takes it. Raises ValidationError."""
    values = _SCHEMA.load({"phone": phone, "reason": why, "source": _SOURCE})
    return suppressing.create(working(), parts().digests, values)


@page("/suppressions/<id:suppression_id>/")
def suppression(suppression_id: int) -> Response:
    return rendering.page("suppression.html", one=suppressing.find(working(), suppression_id))


@page("/suppressions/<id:suppression_id>/lift/", scope=Scope.WRITE)
def ask_to_lift(suppression_id: int) -> Response:
    return rendering.page("suppression_lift.html", one=suppressing.find(working(), suppression_id))


@page("/suppressions/<id:suppression_id>/lift/", scope=Scope.WRITE, methods=["POST"])
def lift(suppression_id: int) -> Response:
    one = suppressing.find(working(), suppression_id)
    suppressing.delete(working(), suppression_id)
    return see("/suppressions/" if one.client_id is None else f"/clients/{one.client_id}/")


def _list(
    *,
    phone: str = "",
    fault: str | None = None,
    is_free: bool = False,
    entered: str = "",
    reason: str = "",
    faults: Mapping[str, Any] | None = None,
) -> Response:
    """phone, fault, is_free: of a search, and what came of it. entered, reason, faults: of one that was to be added."""
    number = suppressing.count(working())
    shown = formats.number(min(number, suppressing.COUNTED))
    response = rendering.page(
        "suppressions.html",
        listing=suppressing.list_part(working(), parts().digests, After(after(), _SIZE), None),
        number=_("more than %(number)s") % {"number": shown} if number > suppressing.COUNTED else shown,
        count=number,
        phone=phone,
        fault=fault,
        is_free=is_free,
        entered=entered or (phone if is_free else ""),
        reason=reason,
        faults=faults or {},
    )
    response.status_code = 422 if faults else 200
    return response
