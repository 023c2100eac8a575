"""/console/suppressions/files/: files of phones that must not be written to."""

from typing import Any

from flask import Response

from api_service.console import file_form, rendering
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.console.query import after
from api_service.directory import imports as files
from api_service.directory import suppression_file
from api_service.directory.files.lines import plain
from api_service.directory.progress import ImportState
from api_service.web.key import Scope
from api_service.web.page import After
from api_service.web.parts import asked, parts, working

_SIZE = 25
_LONGEST_NAME = 64


@page("/suppressions/files/")
def suppression_files() -> Response:
    return rendering.page(
        "suppression_files.html", listing=suppression_file.list_part(working(), After(after(), _SIZE))
    )


@page("/suppressions/files/", scope=Scope.WRITE, methods=["POST"], takes_file=True)
def take_suppressions() -> Response:
    """The answer comes when all of it is read; who looks meanwhile sees how far it is."""
    form = file_form.read(asked())
    with files.placed(form.pieces) as coming:
        file = suppression_file.read(coming.kind, coming.pieces, coming.charset)
        taken = suppression_file.take(working(), parts().digests, file, plain(form.name, _LONGEST_NAME))
    return see(f"/suppressions/files/{taken.id}/")


@page("/suppressions/files/<id:file_id>/")
def one_suppression_file(file_id: int) -> Response:
    return rendering.page("suppression_file.html", **_seen(file_id))


@page("/suppressions/files/<id:file_id>/live/")
@shared
def suppression_file_live(file_id: int) -> Response:
    return rendering.part("suppression_file_live.html", **_seen(file_id))


@page("/suppressions/files/<id:file_id>/refused/")
def refused_suppressions(file_id: int) -> Response:
    return suppression_file.refused_file(working(), file_id)


def _seen(file_id: int) -> dict[str, Any]:
    one = suppression_file.find(working(), file_id)
    return {"one": one, "is_over": one["state"] is not ImportState.RUNNING}
