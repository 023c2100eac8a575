"""/console/audit/: who changed what."""

from flask import Response

from api_service.access import people
from api_service.console import rendering
from api_service.console.pages import page
from api_service.console.query import after
from api_service.operations import actions
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import working

_SIZE = 50


@page("/audit/", scope=Scope.ADMIN)
def audit() -> Response:
    listing = actions.list_changes(working(), After(after(), _SIZE), {}, newest_first=True)
    names = people.named(working(), {row.by for row in listing.rows})
    return rendering.page("audit.html", listing=listing, names=names)
