"""A mailing once more: a draft with all of it but its times."""

from flask import Response

from api_service.console.pages import page, see
from api_service.mailings import actions
from api_service.web.key import Scope
from api_service.web.parts import working


@page("/mailings/<id:mailing_id>/clone/", scope=Scope.TEST, methods=["POST"])
def clone(mailing_id: int) -> Response:
    return see(f"/mailings/{actions.clone(working(), mailing_id)['id']}/edit/")
