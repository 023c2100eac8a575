"""A mailing's messages by reason and by operator code."""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from api_service.mailings import store as mailings
from api_service.tracking.schema import error_field
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.fields import Moment
from api_service.web.figures import COUNTS, counts
from api_service.web.parts import working
from api_service.web.problems import NotFound, TooEarly
from api_service.web.schema import described, enumerated
from api_service.web.work import Work, moment
from shared.domain.message import MessageState
from shared.ledger import breakdown
from shared.ledger.breakdown import Breakdown
from shared.ledger.figures import Figures

blueprint = Blueprint("Breakdown", "Why messages did not arrive, and whose they were.", "/mailings")

LIVE = 500_000
"""Messages of a mailing that are counted while somebody waits; of more they are counted when it is finished."""


class ReasonCountSchema(Schema):
    status = fields.Enum(
        MessageState,
        by_value=fields.String,
        required=True,
        metadata=enumerated("MessageState", "What the messages ended as."),
    )
    error = error_field("Of their last attempt; null: it succeeded, or there was none.")
    count = fields.Integer(required=True, metadata=described("So many.", example=3))


OperatorCountSchema = Schema.from_dict(
    {
        "operator_code": fields.String(
            required=True,
            metadata=described("Of the client; digits 2 to 4 of the phone where they are gone.", example="912"),
        ),
        **COUNTS,
    },
    name="OperatorCount",
)


class BreakdownSchema(Schema):
    mailing_id = fields.Integer(required=True, metadata=described("The mailing.", example=1))
    counted_at = Moment(required=True, metadata=described("As of when."))
    is_final = fields.Boolean(
        required=True, metadata=described("Whether it was counted for good, when the mailing was finished.")
    )
    by_reason = fields.List(
        fields.Nested(ReasonCountSchema),
        required=True,
        metadata=described("What is final and was not accepted, the most frequent first."),
    )
    by_operator_code = fields.List(
        fields.Nested(OperatorCountSchema), required=True, metadata=described("All messages, the largest code first.")
    )


_COUNTS = {"audience": 3} | {str(state): 0 for state in MessageState} | {"sent": 2, "failed": 1}


@blueprint.route("/<id:mailing_id>/breakdown/", parameters=[path_id("mailing_id", "The id of the mailing.")])
class MailingBreakdown(MethodView):
    @blueprint.operation(
        "getBreakdown",
        answer=BreakdownSchema,
        gives={
            "mailing_id": 1,
            "counted_at": "2050-01-31T18:00:00.412003+00:00",
            "is_final": True,
            "by_reason": [{"status": "failed", "error": "rejected", "count": 1}],
            "by_operator_code": [{"operator_code": "912"} | _COUNTS],
        },
        fails=[NotFound, TooEarly],
    )
    def get(self, mailing_id: int) -> dict[str, Any]:
        """Show a mailing by reason and by operator code

        Counted for good when the mailing is finished, and kept for ever. Until then it is counted at the time of the
        request, and of more than 500 000 messages not at all: 409.
        """
        found = find(working(), mailing_id)
        reasons = [
            {"status": status, "error": error or None, "count": number}
            for (status, error), number in found.by_reason.items()
        ]
        operators = [{"operator_code": code, **counts(_figures(states))} for code, states in found.by_operator.items()]
        return {
            "mailing_id": mailing_id,
            "counted_at": found.at,
            "is_final": found.is_final,
            "by_reason": reasons,
            "by_operator_code": operators,
        }


def _figures(states: Mapping[MessageState, int]) -> Figures:
    return Figures(sum(states.values()), {state: states.get(state, 0) for state in MessageState})


def find(work: Work, mailing_id: int) -> Breakdown:
    """Raises NotFound, TooEarly."""
    with work.look() as session:
        connection = session.connection()
        mailing = mailings.find(session, mailing_id)
        if kept := breakdown.read(connection, mailing_id):
            return kept
        if mailing.audience > LIVE:
            raise TooEarly(f"The mailing has more than {LIVE:,} messages: they are counted when it is finished.")
        return Breakdown(breakdown.count(connection, [mailing_id]).get(mailing_id, {}), moment(connection))
