"""The figures: of everything, and of one mailing down to its messages."""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView

from api_service import mailings, message_lists
from api_service.documentation import Blueprint
from api_service.page import Page, PageSchema
from api_service.parts import snapshot
from api_service.resources.mailings import GIVEN, ID
from api_service.schemas import DetailQuerySchema, DetailStatisticsSchema, GeneralStatisticsSchema
from shared.domain.mailing import mailing_state
from shared.domain.message import MessageState
from shared.ledger.figures import read_errors, read_repeated, read_totals

blueprint = Blueprint("Statistics", "Where the messages stand.", "/mailings")

_COUNTS = {"audience": 3} | {str(state): 0 for state in MessageState} | {"sent": 2, "retrying": 1}
_MESSAGE = {
    "id": 1,
    "client_id": 1,
    "status": "retrying",
    "attempts": 1,
    "error": "server_error",
    "sent_at": None,
    "due_at": "2050-01-31T06:00:35.412003+00:00",
}

Answer = tuple[dict[str, Any], dict[str, str]]


@blueprint.route("/general_statistics/")
class GeneralStatistics(MethodView):
    @blueprint.operation(
        "generalStatistics",
        query=PageSchema,
        answer=GeneralStatisticsSchema,
        gives=_COUNTS
        | {
            "mailings": [
                {"mailing_id": 1, "state": "running", "starts_at": GIVEN["starts_at"], "ends_at": GIVEN["ends_at"]}
                | _COUNTS
            ]
        },
    )
    def get(self, query: Mapping[str, Page]) -> Answer:
        """Show the statistics of all mailings

        The totals over all mailings that are not deleted: how many messages there are and how many are in each state;
        and the same for each mailing, one page of them in the order of ids. `audience` is always the sum of the counts
        of all states.
        """
        with snapshot() as session:
            totals = read_totals(session.connection())
            rows, total = mailings.listed(session, query["page"])
            figures = mailings.figures(session, rows)
            now = mailings.moment(session)
        shown = [
            {
                "mailing_id": row.id,
                "state": mailing_state(row, now),
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
                **mailings.counts(figures[row.id]),
            }
            for row in rows
        ]
        return {**mailings.counts(totals), "mailings": shown}, query["page"].header(total)


@blueprint.route("/<id:mailing_id>/detail_statistics/", parameters=[ID])
class DetailStatistics(MethodView):
    @blueprint.operation(
        "detailStatistics",
        query=DetailQuerySchema,
        answer=DetailStatisticsSchema,
        gives={"mailing_id": 1, "state": "running"}
        | _COUNTS
        | {
            "errors": {"server_error": 1},
            "repeated": 0,
            "first_sent_at": "2050-01-31T06:00:00.218374+00:00",
            "last_sent_at": "2050-01-31T06:00:01.004127+00:00",
            "messages_removed_at": None,
            "messages": [_MESSAGE],
        },
        fails=[404],
    )
    def get(self, query: Mapping[str, Any], mailing_id: int) -> Answer:
        """Show the statistics of a mailing

        How many messages are in each state, attempts that did not succeed by kind of error, calls that were repeated
        because an answer was lost, first and last success; and one page of the messages, all or those in the state
        `status`, in the order of their ids, which is that of their clients. Messages that are removed are in no page
        and in no total of pages, and in every count.
        """
        page, status = query["page"], query["status"]
        with snapshot() as session:
            mailing = mailings.found(session, mailing_id)
            figures = mailings.figures(session, [mailing])[mailing_id]
            errors = read_errors(session.connection(), mailing_id)
            repeated = read_repeated(session.connection(), mailing_id)
            messages, number = message_lists.listed(session, mailing, status, figures, page)
            state = mailing_state(mailing, mailings.moment(session))
        view = {
            "mailing_id": mailing_id,
            "state": state,
            **mailings.counts(figures),
            "errors": errors,
            "repeated": repeated,
            "first_sent_at": figures.first_sent_at,
            "last_sent_at": figures.last_sent_at,
            "messages_removed_at": mailing.messages_removed_at,
            "messages": messages,
        }
        return view, page.header(number)
