"""The figures: of everything, and of one mailing down to its messages."""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from api_service.mailings import store as mailings
from api_service.tracking import actions, overview, sources, store
from api_service.tracking.schema import MESSAGE, MessageSchema
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.fields import Moment
from api_service.web.figures import COUNTS, RECEIPTS_EXAMPLE, RECEIPTS_FIELD, TEST, counts, receipts
from api_service.web.page import PageSchema, Part
from api_service.web.parts import working
from api_service.web.problems import NotFound
from api_service.web.schema import described, enumerated
from api_service.web.work import moment
from shared.domain.mailing import MailingState, mailing_state
from shared.domain.message import MessageState

blueprint = Blueprint("Statistics", "Where the messages stand.", "/mailings")

_STARTS_AT, _ENDS_AT = "2050-01-31T06:00:00+00:00", "2050-01-31T18:00:00+00:00"
_MAILING: dict[str, object] = {"mailing_id": 1, "state": "running", "test": False}
_COUNTS = {"audience": 3} | {str(state): 0 for state in MessageState} | {"sent": 2, "retrying": 1}
_MOST_RETRIES = 100
_FIGURES = _COUNTS | {"receipts": RECEIPTS_EXAMPLE}
Answer = tuple[dict[str, Any], dict[str, str]]


_OF_MAILING: dict[str, fields.Field[Any]] = {
    "mailing_id": fields.Integer(required=True, metadata=described("The mailing.", example=1)),
    "state": fields.Enum(
        MailingState,
        by_value=fields.String,
        required=True,
        metadata=enumerated("MailingState", "Of the mailing."),
    ),
    "test": fields.Boolean(required=True, metadata=TEST),
}

MailingFiguresSchema = Schema.from_dict(
    {
        **_OF_MAILING,
        "starts_at": Moment(
            required=True,
            allow_none=True,
            metadata=described("When it was, or will be, launched; null: a draft that does not say."),
        ),
        "ends_at": Moment(
            required=True,
            allow_none=True,
            metadata=described("Nothing is sent from this moment on; null: a draft that does not say."),
        ),
        **COUNTS,
        "receipts": RECEIPTS_FIELD,
    },
    name="MailingFigures",
)

GeneralStatisticsSchema = Schema.from_dict(
    {
        **COUNTS,
        "receipts": RECEIPTS_FIELD,
        "mailings": fields.List(
            fields.Nested(MailingFiguresSchema), required=True, metadata=described("One page of them.")
        ),
    },
    name="GeneralStatistics",
)


DetailStatisticsSchema = Schema.from_dict(
    {
        **_OF_MAILING,
        "retry_of": fields.Integer(
            required=True,
            allow_none=True,
            metadata=described("The mailing that it is a retry of; null: it is none.", example=None),
        ),
        "retries": fields.List(
            fields.Integer(),
            required=True,
            metadata=described(f"The mailings that are retries of it, the first {_MOST_RETRIES}.", example=[2]),
        ),
        **COUNTS,
        "receipts": RECEIPTS_FIELD,
        "errors": fields.Dict(
            keys=fields.String(),
            values=fields.Integer(),
            required=True,
            metadata=described("Attempts that did not succeed, by kind.", example={"server_error": 2}),
        ),
        "skipped_because": fields.Dict(
            keys=fields.String(),
            values=fields.Integer(),
            required=True,
            metadata=described("Messages that were skipped, by reason.", example={"opted_out": 1}),
        ),
        "repeated": fields.Integer(
            required=True,
            metadata=described(
                "Calls for a message that the provider may have had already, because an answer was lost: so many"
                " clients, at most, got it twice.",
                example=0,
            ),
        ),
        "first_sent_at": Moment(required=True, allow_none=True, metadata=described("Null while nothing is sent.")),
        "last_sent_at": Moment(required=True, allow_none=True, metadata=described("Null while nothing is sent.")),
        "messages_removed_at": Moment(
            required=True,
            allow_none=True,
            metadata=described(
                "Since when the messages themselves are not kept any more, RETENTION_DAYS after the mailing had"
                " finished: `messages` is empty, and every figure stays. Null while they are."
            ),
        ),
        "messages": fields.List(fields.Nested(MessageSchema), required=True, metadata=described("One page of them.")),
    },
    name="DetailStatistics",
)


class DetailQuerySchema(PageSchema):
    status = fields.Enum(
        MessageState,
        by_value=fields.String,
        metadata=enumerated("MessageState", "Only messages that are in this state."),
    )


@blueprint.route("/general_statistics/")
class GeneralStatistics(MethodView):
    @blueprint.operation(
        "generalStatistics",
        query=PageSchema,
        answer=GeneralStatisticsSchema,
        gives=_FIGURES
        | {
            "mailings": [
                {"mailing_id": 1, "state": "running", "test": False, "starts_at": _STARTS_AT, "ends_at": _ENDS_AT}
                | _FIGURES
            ]
        },
    )
    def get(self, query: Mapping[str, Part]) -> Answer:
        """Show the statistics of all mailings

        The totals over all mailings that are not deleted: how many messages there are and how many are in each state;
        and the same for each mailing, one page of them in the order of ids. `audience` is always the sum of the counts
        of all states. `receipts` says what is known of the delivery of what is sent. Tests are not among them; with a
        key of the scope `test` it is tests alone.
        """
        with working().look() as session:
            totals = mailings.totals(session)
            listing = mailings.list_part(session, query["part"], {})
            figures = mailings.figures(session, listing.rows)
            now = moment(session.connection())
        shown = [
            {
                "mailing_id": row.id,
                "state": mailing_state(row, now),
                "test": row.test,
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
                **counts(figures[row.id]),
                "receipts": receipts(figures[row.id]),
            }
            for row in listing.rows
        ]
        return {**counts(totals), "receipts": receipts(totals), "mailings": shown}, listing.headers()


@blueprint.route("/<id:mailing_id>/detail_statistics/", parameters=[path_id("mailing_id", "The id of the mailing.")])
class DetailStatistics(MethodView):
    @blueprint.operation(
        "detailStatistics",
        query=DetailQuerySchema,
        answer=DetailStatisticsSchema,
        gives=_MAILING
        | _FIGURES
        | {
            "retry_of": None,
            "retries": [],
            "errors": {"server_error": 1},
            "skipped_because": {},
            "repeated": 0,
            "first_sent_at": "2050-01-31T06:00:00.218374+00:00",
            "last_sent_at": "2050-01-31T06:00:01.004127+00:00",
            "messages_removed_at": None,
            "messages": [MESSAGE],
        },
        fails=[NotFound],
    )
    def get(self, query: Mapping[str, Any], mailing_id: int) -> Answer:
        """Show the statistics of a mailing

        How many messages are in each state, what is known of the delivery of those that are sent, attempts that did not
        succeed by kind of error, what was skipped by reason, calls that were repeated because an answer was lost, first
        and last success; and one page of the messages, all or those in the state
        `status`, in the order of their ids, which is that of their clients. Messages that are removed are in no page
        and in no total of pages, and in every count.
        """
        status = query.get("status")
        with working().look() as session:
            seen = overview.read(session, mailing_id)
            mailing, figures = seen.mailing, seen.figures
            retries = sources.read_retries(session.connection(), mailing_id, _MOST_RETRIES)
            messages = actions.shown(session, store.list_messages(session, mailing, status, figures, query["part"]))
        view = {
            "mailing_id": mailing_id,
            "state": seen.state,
            "test": mailing.test,
            "retry_of": mailing.retry_of,
            "retries": retries,
            **counts(figures),
            "receipts": receipts(figures),
            "errors": seen.errors,
            "skipped_because": seen.skipped,
            "repeated": seen.repeated,
            "first_sent_at": figures.first_sent_at,
            "last_sent_at": figures.last_sent_at,
            "messages_removed_at": mailing.messages_removed_at,
            "messages": messages.rows,
        }
        return view, messages.headers()
