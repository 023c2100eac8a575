"""/console/clients/: somebody by their phone, what they were ever sent, and why; and that they get
nothing any more."""

from flask import Response
from marshmallow import ValidationError

from api_service.console import rendering
from api_service.console.language import marked as _
from api_service.console.pages import page, see
from api_service.console.query import after, number
from api_service.console.suppressions import suppress
from api_service.directory import actions
from api_service.directory.files.phone_spellings import NotAPhone, normalised
from api_service.tracking import actions as tracking
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import asked, working

_SIZE = 25


@page("/clients/")
def clients() -> Response:
    """By a phone in any spelling that an import takes."""
    given = asked().args.get("phone", "").strip()
    if not given:
        listing = actions.list_part(working(), After(after(), _SIZE), {})
        return rendering.page("clients.html", listing=listing, phone="", fault=None)
    try:
        phone = normalised(given)
    except NotAPhone as error:
        return rendering.page("clients.html", listing=None, phone=given, fault=str(error))
    found = actions.list_part(working(), After(0, 1), {"phone": int(phone)}).rows
    if found:
        return see(f"/clients/{found[0].id}/")
    return rendering.page("clients.html", listing=None, phone=given, fault=_("Nobody in the directory has this phone."))


@page("/clients/<id:client_id>/")
def client(client_id: int) -> Response:
    messages = tracking.list_of_client(working(), client_id, After(after(), _SIZE))
    return rendering.page("client.html", client=actions.find(working(), client_id), messages=messages)


@page("/clients/<id:client_id>/why/")
def why(client_id: int) -> Response:
    """Of the mailing that is asked for."""
    return rendering.page("why.html", standing=tracking.standing(working(), number("mailing"), client_id))


@page("/clients/<id:client_id>/suppress/", scope=Scope.WRITE)
def ask_to_suppress(client_id: int) -> Response:
    client = actions.find(working(), client_id)
    return rendering.page("client_suppress.html", client=client, reason="", faults={})


@page("/clients/<id:client_id>/suppress/", scope=Scope.WRITE, methods=["POST"])
def suppress_client(client_id: int) -> Response:
    """The phone that they have now."""
    client, why = actions.find(working(), client_id), asked().form.get("reason", "").strip()
    try:
        suppress(str(client.phone), why)
    except ValidationError as error:
        response = rendering.page("client_suppress.html", client=client, reason=why, faults=error.messages_dict)
        response.status_code = 422
        return response
    return see(f"/clients/{client_id}/")
