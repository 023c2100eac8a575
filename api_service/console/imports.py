"""/console/imports/: files of clients."""

from typing import Any

from flask import Response

from api_service.console import file_form, rendering
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.console.query import after
from api_service.directory import imports as files
from api_service.directory.files.lines import plain
from api_service.directory.progress import ImportState
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import asked, working

_SIZE = 25
_LONGEST_NAME = 64


@page("/imports/")
def imports() -> Response:
    listing = files.list_part(working(), After(after(), _SIZE))
    return rendering.page("imports.html", listing=listing)


@page("/imports/", scope=Scope.WRITE, methods=["POST"], takes_file=True)
def take_file() -> Response:
    """Rehearses it, or takes it; the answer comes when all of it is read."""
    form = file_form.read(asked())
    is_rehearsal = form.fields.get("what") != "take"
    with files.placed(form.pieces) as coming:
        one = files.taken(coming, plain(form.name, _LONGEST_NAME), is_strict=False, is_rehearsal=is_rehearsal)
    if is_rehearsal:
        return rendering.page("import.html", **_seen(one))
    return see(f"/imports/{one['id']}/")


@page("/imports/<id:import_id>/")
def one_import(import_id: int) -> Response:
    return rendering.page("import.html", **_seen(files.find(working(), import_id)))


@page("/imports/<id:import_id>/live/")
@shared
def import_live(import_id: int) -> Response:
    return rendering.part("import_live.html", **_seen(files.find(working(), import_id)))


@page("/imports/<id:import_id>/refused/")
def refused(import_id: int) -> Response:
    return files.refused_file(working(), import_id)


def _seen(one: dict[str, Any]) -> dict[str, Any]:
    return {"one": one, "is_over": one["state"] is not ImportState.RUNNING}
