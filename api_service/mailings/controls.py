"""Pause, resume, cancel."""

from flask.views import MethodView

from api_service.mailings import rules, store
from api_service.mailings.mailings import GIVEN, ID, View
from api_service.mailings.rules import Action
from api_service.mailings.schema import MailingSchema
from api_service.web.document import Blueprint
from api_service.web.parts import entering, parts, transaction

blueprint = Blueprint("Controls", "Pause, resume and cancel a mailing.", "/mailings")


@blueprint.route("/<id:mailing_id>/pause/", parameters=[ID])
class Pause(MethodView):
    @blueprint.operation("pauseMailing", answer=MailingSchema, gives=GIVEN | {"state": "paused"}, fails=[404, 409])
    def post(self, mailing_id: int) -> View:
        """Pause a mailing

        Nothing more is sent until it is resumed; time goes on, and it may end meanwhile. Messages that a dispatcher
        holds at this moment may still go out. A body is not needed. Repeating it is harmless; 409 if the mailing is
        finished or cancelled.
        """
        return _perform(Action.PAUSE, mailing_id)


@blueprint.route("/<id:mailing_id>/resume/", parameters=[ID])
class Resume(MethodView):
    @blueprint.operation("resumeMailing", answer=MailingSchema, gives=GIVEN | {"state": "running"}, fails=[404, 409])
    def post(self, mailing_id: int) -> View:
        """Resume a mailing

        It goes on where it was paused. A body is not needed. Repeating it is harmless; 409 if the mailing is finished
        or cancelled.
        """
        return _perform(Action.RESUME, mailing_id)


@blueprint.route("/<id:mailing_id>/cancel/", parameters=[ID])
class Cancel(MethodView):
    @blueprint.operation("cancelMailing", answer=MailingSchema, gives=GIVEN | {"state": "cancelled"}, fails=[404, 409])
    def post(self, mailing_id: int) -> View:
        """Cancel a mailing

        For good. No further message is handed to the provider; the dispatcher's leader turns those that are not sent
        into `cancelled` within moments, so the statistics follow a little later. Messages on the wire at this moment
        are counted by what becomes of them. A body is not needed. Repeating it is harmless; 409 if the mailing is
        finished.
        """
        return _perform(Action.CANCEL, mailing_id)


def _perform(action: Action, mailing_id: int) -> View:
    with transaction() as session, entering(session) as entries:
        mailing = store.found(session, mailing_id, lock=True)
        now = store.moment(session)
        store.perform(entries, mailing, action, now)
        figures = store.figures(session, [mailing])
    if action is Action.RESUME and rules.is_due(mailing, now):
        parts().announcer.announce(mailing.id)
    return store.shown(mailing, figures[mailing.id], now)
