"""/console/clients/…/erase/: somebody who asks to be forgotten."""

from flask import Response, g

from api_service.console import reauthentication, rendering
from api_service.console.language import gettext as _
from api_service.console.pages import page, see
from api_service.directory import actions
from api_service.directory.files.phone_spellings import NotAPhone, normalised
from api_service.web.key import Scope
from api_service.web.match import Match, etag
from api_service.web.parts import asked, working
from api_service.web.problems import NotFound
from shared.database.models import Client


@page("/clients/<id:client_id>/erase/", scope=Scope.WRITE)
def ask_to_erase(client_id: int) -> Response:
    return _ask(actions.find(working(), client_id))


@page("/clients/<id:client_id>/erase/", scope=Scope.WRITE, methods=["POST"])
def erase(client_id: int) -> Response:
    """Whom they have seen, and only where they say once more who they are and who is meant."""
    form, client = asked().form, actions.find(working(), client_id)
    not_they = reauthentication.fault(form)
    another = None if _is_phone_of(client, form.get("phone", "")) else _("This is not the phone of this client.")
    if not_they or another:
        response = _ask(client, not_they, another)
        response.status_code = 403 if not_they else 422
        return response
    g.match = Match.parsed(form.get("revision", ""))
    actions.erase(working(), client_id)
    return see(f"/clients/{client_id}/erased/")


@page("/clients/<id:client_id>/erased/")
def erased(client_id: int) -> Response:
    if not actions.was_erased(working(), client_id):
        raise NotFound("There is no such page.")
    return rendering.page("client_erased.html", id=client_id)


def _ask(client: Client, not_they: str | None = None, another: str | None = None) -> Response:
    return rendering.page(
        "client_erase.html",
        client=client,
        revision=etag(client.revision),
        asks=reauthentication.asks(),
        not_they=not_they,
        another=another,
    )


def _is_phone_of(client: Client, given: str) -> bool:
    """In any spelling that an import takes."""
    try:
        return normalised(given.strip()) == str(client.phone)
    except NotAPhone:
        return False
