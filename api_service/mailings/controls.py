"""Start, pause, resume, cancel."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask.views import MethodView

from api_service.mailings import actions
from api_service.mailings.actions import View
from api_service.mailings.mailings import ANSWER, GIVEN, ID
from api_service.mailings.rules import Action
from api_service.web.blueprint import Blueprint
from api_service.web.key import Scope
from api_service.web.parts import parts, working
from api_service.web.problems import Blocked, IsDraft, NotFound, Problem, TooLate

blueprint = Blueprint("Controls", "Start, pause, resume and cancel a mailing.", "/mailings")

Method = TypeVar("Method", bound=Callable[..., Any])


def _control(name: str, state: str, *fails: type[Problem], **more: Any) -> Callable[[Method], Method]:
    given = GIVEN | {"state": state} | more.pop("gives", {})
    decorate: Callable[[Method], Method] = blueprint.operation(
        name,
        scope=Scope.TEST,
        answer=ANSWER,
        gives=given,
        fails=[NotFound, TooLate, *fails],
        is_idempotent=True,
        **more,
    )
    return decorate


@blueprint.route("/<id:mailing_id>/start/", parameters=[ID])
class Start(MethodView):
    @_control("startMailing", "scheduled", Blocked, gives={"revision": 2}, is_tagged=True, is_conditional=True)
    def post(self, mailing_id: int) -> View:
        """Start a draft

        From now on it is a mailing as any other: it is launched at `starts_at`, or at once where that has passed. With
        `If-Match` only as whoever asks has seen it. 409 with all that stands in its way in `errors`, such as a time
        that is missing or an end that has passed. A body is not needed. Repeating it is harmless, and so is starting
        what never was a draft; 409 if the mailing is finished or cancelled.
        """
        return actions.perform(working(), parts().announcer, Action.START, mailing_id)


@blueprint.route("/<id:mailing_id>/pause/", parameters=[ID])
class Pause(MethodView):
    @_control("pauseMailing", "paused", IsDraft)
    def post(self, mailing_id: int) -> View:
        """Pause a mailing

        Nothing more is sent until it is resumed; time goes on, and it may end meanwhile. Messages that a dispatcher
        holds at this moment may still go out. A body is not needed. Repeating it is harmless; 409 if the mailing is
        finished, cancelled, or a draft.
        """
        return actions.perform(working(), parts().announcer, Action.PAUSE, mailing_id)


@blueprint.route("/<id:mailing_id>/resume/", parameters=[ID])
class Resume(MethodView):
    @_control("resumeMailing", "running", IsDraft)
    def post(self, mailing_id: int) -> View:
        """Resume a mailing

        It goes on where it was paused. A body is not needed. Repeating it is harmless; 409 if the mailing is finished,
        cancelled, or a draft.
        """
        return actions.perform(working(), parts().announcer, Action.RESUME, mailing_id)


@blueprint.route("/<id:mailing_id>/cancel/", parameters=[ID])
class Cancel(MethodView):
    @_control("cancelMailing", "cancelled")
    def post(self, mailing_id: int) -> View:
        """Cancel a mailing

        For good. No further message is handed to the provider; the dispatcher's leader turns those that are not sent
        into `cancelled` within moments, so the statistics follow a little later. Messages on the wire at this moment
        are counted by what becomes of them. A body is not needed. Repeating it is harmless; 409 if the mailing is
        finished.
        """
        return actions.perform(working(), parts().announcer, Action.CANCEL, mailing_id)
