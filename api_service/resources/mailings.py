"""/mailings/"""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView

from api_service import mailing_rules, mailings
from api_service.access import about
from api_service.documentation import Blueprint, path_id
from api_service.mailing_rules import Action
from api_service.page import Page, PageSchema
from api_service.parts import parts, transaction
from api_service.schemas import MailingSchema
from shared import clock
from shared.domain.message import MessageState
from shared.ledger.figures import Figures

blueprint = Blueprint("Mailings", "What is to be sent, to whom, from when until when.", "/mailings")

SENT = {
    "text": "The doors open at noon.",
    "starts_at": "2050-01-31T09:00:00+03:00",
    "ends_at": "2050-01-31T21:00:00+03:00",
    "filter": {"operator_codes": ["912", "926"], "tags": ["vip"]},
    "send_window": {"from": "09:00", "until": "21:00"},
}
GIVEN = (
    {"id": 1}
    | SENT
    | {
        "starts_at": "2050-01-31T06:00:00+00:00",
        "ends_at": "2050-01-31T18:00:00+00:00",
        "state": "scheduled",
        "created_at": "2050-01-30T14:21:07.123456+00:00",
        "statistics": {"audience": 0} | {str(state): 0 for state in MessageState},
    }
)
ID = path_id("mailing_id", "The id of the mailing.")

View = dict[str, Any]


@blueprint.route("/")
class Mailings(MethodView):
    @blueprint.operation("listMailings", query=PageSchema, answer=MailingSchema(many=True), gives=[GIVEN])
    def get(self, query: Mapping[str, Page]) -> tuple[list[View], dict[str, str]]:
        """List mailings

        One page of all that are not deleted, in the order of ids, each with its statistics.
        """
        with transaction() as session:
            rows, total = mailings.listed(session, query["page"])
            figures = mailings.figures(session, rows)
        now = clock.now()
        return [mailings.shown(row, figures[row.id], now) for row in rows], query["page"].header(total)

    @blueprint.operation("createMailing", body=MailingSchema, sends=SENT, status=201, answer=MailingSchema, gives=GIVEN)
    def post(self, values: Mapping[str, Any]) -> View:
        """Create a mailing

        It launches by itself at `starts_at`, or at once if that has passed: every client that matches the filter then
        gets one message. Whoever joins the directory later gets none.
        """
        now = clock.now()
        with transaction() as session:
            mailing = mailings.created(session, values, now)
        about(mailing_id=mailing.id)
        parts().announcer.announce(mailing.id)
        return mailings.shown(mailing, Figures(), now)


@blueprint.route("/<id:mailing_id>/", parameters=[ID])
class OneMailing(MethodView):
    @blueprint.operation("getMailing", answer=MailingSchema, gives=GIVEN, fails=[404])
    def get(self, mailing_id: int) -> View:
        """Look up a mailing

        With its state and statistics at this moment.
        """
        with transaction() as session:
            mailing = mailings.found(session, mailing_id)
            figures = mailings.figures(session, [mailing])
        return mailings.shown(mailing, figures[mailing.id], clock.now())

    @blueprint.operation(
        "replaceMailing", body=MailingSchema, sends=SENT, answer=MailingSchema, gives=GIVEN, fails=[404, 409]
    )
    def put(self, values: Mapping[str, Any], mailing_id: int) -> View:
        """Replace a mailing

        Everything is set: a field that is left out gets its default, as at the creation. After the launch `text`,
        `filter` and `starts_at` are frozen, and once the mailing is finished or cancelled so is the rest: 409 names the
        fields that would have to change. The same value as before is always accepted.
        """
        return _change(mailing_id, values)

    @blueprint.operation(
        "changeMailing",
        body=MailingSchema(partial=True),
        sends={"ends_at": "2050-01-31T23:00:00+03:00", "send_window": None},
        answer=MailingSchema,
        gives=GIVEN | {"ends_at": "2050-01-31T20:00:00+00:00", "send_window": None},
        fails=[404, 409],
    )
    def patch(self, values: Mapping[str, Any], mailing_id: int) -> View:
        """Change a mailing

        Only the fields that are given; `filter` and `send_window` are replaced whole. After the launch `text`, `filter`
        and `starts_at` are frozen, and once the mailing is finished or cancelled so is the rest: 409 names the fields
        that would have to change. The same value as before is always accepted.
        """
        return _change(mailing_id, values)

    @blueprint.operation("deleteMailing", status=204, fails=[404])
    def delete(self, mailing_id: int) -> None:
        """Delete a mailing

        It disappears from lists and totals. If it is not over it is cancelled as well: its messages that are not sent
        yet are cancelled within moments.
        """
        with transaction() as session:
            mailings.delete(mailings.found(session, mailing_id, lock=True), clock.now())


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


def _change(mailing_id: int, values: Mapping[str, Any]) -> View:
    with transaction() as session:
        mailing = mailings.found(session, mailing_id, lock=True)
        now = clock.now()
        changed = mailings.change(mailing, values, now)
        figures = mailings.figures(session, [mailing])
    if "starts_at" in changed and mailing_rules.is_due(mailing, now):
        parts().announcer.announce(mailing.id)
    return mailings.shown(mailing, figures[mailing.id], now)


def _perform(action: Action, mailing_id: int) -> View:
    with transaction() as session:
        mailing = mailings.found(session, mailing_id, lock=True)
        now = clock.now()
        mailings.perform(mailing, action, now)
        figures = mailings.figures(session, [mailing])
    if action is Action.RESUME and mailing_rules.is_due(mailing, now):
        parts().announcer.announce(mailing.id)
    return mailings.shown(mailing, figures[mailing.id], now)
