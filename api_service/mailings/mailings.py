"""/mailings/"""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView

from api_service.mailings import rules, store
from api_service.mailings.schema import MailingSchema
from api_service.web.document import Blueprint, path_id
from api_service.web.middleware import about
from api_service.web.page import Page, PageSchema
from api_service.web.parts import entering, parts, snapshot, transaction
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
        with snapshot() as session:
            rows, total = store.listed(session, query["page"])
            figures = store.figures(session, rows)
            now = store.moment(session)
        return [store.shown(row, figures[row.id], now) for row in rows], query["page"].header(total)

    @blueprint.operation("createMailing", body=MailingSchema, sends=SENT, status=201, answer=MailingSchema, gives=GIVEN)
    def post(self, values: Mapping[str, Any]) -> View:
        """Create a mailing

        It launches by itself at `starts_at`, or at once if that has passed: every client that matches the filter then
        gets one message. Whoever joins the directory later gets none.
        """
        with transaction() as session, entering(session) as entries:
            now = store.moment(session)
            mailing = store.created(session, entries, values, now)
        about(mailing_id=mailing.id)
        parts().announcer.announce(mailing.id)
        return store.shown(mailing, Figures(), now)


@blueprint.route("/<id:mailing_id>/", parameters=[ID])
class OneMailing(MethodView):
    @blueprint.operation("getMailing", answer=MailingSchema, gives=GIVEN, fails=[404])
    def get(self, mailing_id: int) -> View:
        """Look up a mailing

        With its state and statistics at this moment.
        """
        with transaction() as session:
            mailing = store.found(session, mailing_id)
            figures = store.figures(session, [mailing])
            now = store.moment(session)
        return store.shown(mailing, figures[mailing.id], now)

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
        with transaction() as session, entering(session) as entries:
            mailing = store.found(session, mailing_id, lock=True)
            store.delete(session, entries, mailing, store.moment(session))


def _change(mailing_id: int, values: Mapping[str, Any]) -> View:
    with transaction() as session:
        mailing = store.found(session, mailing_id, lock=True)
        now = store.moment(session)
        changed = store.change(mailing, values, now)
        figures = store.figures(session, [mailing])
    if "starts_at" in changed and rules.is_due(mailing, now):
        parts().announcer.announce(mailing.id)
    return store.shown(mailing, figures[mailing.id], now)
