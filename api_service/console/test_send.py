"""A mailing is tried out on a few phones before it goes to everybody."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response
from marshmallow import ValidationError

from api_service.console import rendering
from api_service.console.live import shared
from api_service.console.pages import page, see
from api_service.directory.files.phone_spellings import NotAPhone, normalised
from api_service.mailings import actions, trying
from api_service.mailings.trials import MOST, NewTrialSchema
from api_service.web.key import Scope
from api_service.web.parts import asked, parts, working
from api_service.web.problems import Invalid
from shared.domain.mailing import ENDED
from shared.domain.message import FINAL_STATES

_BODY = NewTrialSchema()
_LONGEST = 1000
"""Characters of all phones together."""


@page("/mailings/<id:mailing_id>/test/", scope=Scope.TEST)
def test_send(mailing_id: int) -> Response:
    return _form(mailing_id)


@page("/mailings/<id:mailing_id>/test/live/", scope=Scope.TEST)
@shared
def test_send_live(mailing_id: int) -> Response:
    trials = trying.list_last(working(), mailing_id)
    return rendering.part("test_send_live.html", is_over=_is_over(trials), trials=trials)


@page("/mailings/<id:mailing_id>/test/", scope=Scope.TEST, methods=["POST"])
def send_test(mailing_id: int) -> Response:
    """To phones in any spelling that an import takes."""
    form = asked().form
    given = {"phones": form.get("phones", "")[:_LONGEST], "client_id": form.get("client_id", "").strip()}
    lines = [line for each in given["phones"].splitlines() if (line := each.strip())]
    phones, faults = _spelled(lines)
    if faults:
        return _form(mailing_id, given, {"phones": faults})
    body: dict[str, Any] = {"phones": phones} | ({"client_id": given["client_id"]} if given["client_id"] else {})
    try:
        values = _BODY.load(body)
        trying.create(working(), parts().announcer, mailing_id, values["phones"], values.get("client_id"))
    except ValidationError as error:
        return _form(mailing_id, given, _sentences(error.messages_dict, lines))
    except Invalid as invalid:
        return _form(mailing_id, given, _sentences(invalid.errors["json"], lines))
    return see(f"/mailings/{mailing_id}/test/")


def _spelled(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The phones, and what is wrong with those that are none."""
    phones, faults = [], []
    for line in lines:
        try:
            phones.append(normalised(line))
        except NotAPhone as error:
            faults.append(f"{line}: {error}")
    return phones, faults


def _sentences(errors: Mapping[str, Any], lines: Sequence[str]) -> dict[str, list[str]]:
    """By field; of a phone with what was written for it."""
    found: dict[str, list[str]] = {}
    for name, said in errors.items():
        by_place = said.items() if isinstance(said, Mapping) else [(None, said)]
        found[name] = [
            sentence if place is None else f"{lines[int(place)]}: {sentence}"
            for place, sentences in by_place
            for sentence in sentences
        ]
    return found


def _form(
    mailing_id: int, given: Mapping[str, str] | None = None, faults: Mapping[str, Sequence[str]] | None = None
) -> Response:
    """Raises NotFound."""
    view = actions.find(working(), mailing_id)
    trials = trying.list_last(working(), mailing_id)
    response = rendering.page(
        "test_send.html",
        mailing=view,
        is_ended=view["state"] in ENDED,
        trials=trials,
        is_over=_is_over(trials),
        most=MOST,
        given=given or {"phones": "", "client_id": ""},
        faults={name: (faults or {}).get(name, ()) for name in ("phones", "client_id")},
    )
    response.status_code = 422 if faults else 200
    return response


def _is_over(trials: Sequence[trying.View]) -> bool:
    return all(message["status"] in FINAL_STATES for trial in trials for message in trial["messages"])
