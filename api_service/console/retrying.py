"""A mailing once more, to exactly those whom it did not reach."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Response
from marshmallow import ValidationError

from api_service.console import formats, local_time, rendering
from api_service.console.pages import page, see
from api_service.mailings import actions
from api_service.mailings.retry_schema import RetrySchema
from api_service.tracking import overview
from api_service.web.key import Scope
from api_service.web.parts import asked, parts, working
from api_service.web.problems import Invalid
from shared.domain.message import RARE_STATES, MessageState

_BODY = RetrySchema()
_TIMES = ("starts_at", "ends_at")
_LASTS = timedelta(days=1)
"""As long as nobody says otherwise."""


@page("/mailings/<id:mailing_id>/retry/", scope=Scope.TEST)
def ask_retry(mailing_id: int) -> Response:
    """Whom it would be for, with their number, before anything is done."""
    chosen = _chosen(asked().args.getlist("states")) or [MessageState.FAILED]
    return _form(mailing_id, chosen)


@page("/mailings/<id:mailing_id>/retry/", scope=Scope.TEST, methods=["POST"])
def retry(mailing_id: int) -> Response:
    form, zone = asked().form, formats.zone()
    chosen = _chosen(form.getlist("states"))
    times = {name: form.get(name, "").strip() for name in _TIMES}
    body: dict[str, Any] = {"states": [str(state) for state in chosen]}
    faults: dict[str, Sequence[str]] = {}
    for name, text in times.items():
        try:
            body |= {name: local_time.given(text, zone)} if text else {}
        except ValueError:
            faults[name] = [local_time.SHAPE]
    if faults:
        return _form(mailing_id, chosen, times, faults)
    try:
        made = actions.retry(working(), parts().announcer, mailing_id, _BODY.load(body))
    except ValidationError as error:
        return _form(mailing_id, chosen, times, error.messages_dict)
    except Invalid as invalid:
        return _form(mailing_id, chosen, times, invalid.errors["json"])
    return see(f"/mailings/{made['id']}/")


def _form(
    mailing_id: int,
    chosen: Sequence[MessageState],
    times: Mapping[str, str] | None = None,
    faults: Mapping[str, Any] | None = None,
) -> Response:
    """Raises NotFound."""
    seen = overview.of_mailing(working(), mailing_id)
    response = rendering.page(
        "retry.html",
        seen=seen,
        ended={state: seen.figures.states[state] for state in MessageState if state in RARE_STATES},
        chosen=chosen,
        number_of_people=sum(seen.figures.states[state] for state in chosen),
        times=times or {"starts_at": "", "ends_at": local_time.shown(seen.now + _LASTS, formats.zone())},
        faults={name: (faults or {}).get(name, ()) for name in (*_TIMES, "states")},
    )
    response.status_code = 422 if faults else 200
    return response


def _chosen(given: Sequence[str]) -> list[MessageState]:
    """Those that there are; what is none of them is not chosen."""
    return [state for state in MessageState if state in RARE_STATES and state in given]
