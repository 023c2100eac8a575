"""/mailings/preflight/, /mailings/{id}/preflight/"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.views import MethodView

from api_service.mailings import preflight_actions as actions
from api_service.mailings.findings import Facts, Origins, Overlap, Rate, RateFrom
from api_service.mailings.forecast import by_hour, openings
from api_service.mailings.mailings import ID, SENT
from api_service.mailings.preflight_actions import View
from api_service.mailings.preflight_schema import PreflightSchema
from api_service.mailings.preflight_store import wording
from api_service.mailings.schema import MailingSchema
from api_service.web.blueprint import Blueprint
from api_service.web.key import Scope
from api_service.web.parts import parts, working
from api_service.web.problems import Blocked, NotFound, TooEarly, TooLate
from api_service.web.schema import new
from shared.domain.reason import Reason
from shared.domain.survey import Estimate, Survey

blueprint = Blueprint("Preflight", "What would become of a mailing if it were started now.", "/mailings")

_ANSWER = PreflightSchema()


def _example() -> View:
    """Of a small mailing with something to be said about it."""
    starts_at = datetime(2050, 1, 31, 6, tzinfo=UTC)
    counted = Survey(42, {Reason.OPTED_OUT: 2}, {"912": 40}, {"Europe/Moscow": 40}, {"vip": 40})
    opening = openings(counted.timezones, None, starts_at, starts_at + timedelta(hours=12))
    facts = Facts(
        now=starts_at - timedelta(days=1),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=12),
        wording=wording("Our shop in Tverskaya street opens at noon \u2013 come and see what we have for you today!"),
        survey=counted,
        openings=opening,
        by_hour=by_hour(opening),
        rate=Rate(500.0, RateFrom.LIMIT),
        done_at=starts_at + timedelta(seconds=0.08),
        dispatchers=2,
        overlap=Overlap(Estimate(3), [(7, Estimate(3))]),
        origins=Origins("UTC", Estimate(0), [], Estimate(0), [("MEGAFON", Estimate(25))]),
    )
    given: View = _ANSWER.dump(actions.shown(facts))
    return given


_GIVEN = _example()


@blueprint.route("/preflight/")
class PreflightOfGiven(MethodView):
    @blueprint.operation(
        "checkMailing", scope=Scope.READ, body=new(MailingSchema), sends=SENT, answer=_ANSWER, gives=_GIVEN
    )
    def post(self, values: Mapping[str, Any]) -> View:
        """Look at a mailing before it is created

        The body is that of a mailing; nothing is stored. Who would get it, by operator code, time zone, tag, and hour
        of their day; who is left out, and why; how many SMS parts its text takes, and because of which characters; how
        fast it would go; who is still to get another mailing. All as of one moment, in a few seconds at the most: what
        takes longer is null. `blockers` would refuse its start.
        """
        return actions.check_given(working(), parts(), values)


@blueprint.route("/<id:mailing_id>/preflight/", parameters=[ID])
class PreflightOfStored(MethodView):
    @blueprint.operation("preflightMailing", answer=_ANSWER, gives=_GIVEN, fails=[NotFound, TooLate, TooEarly, Blocked])
    def get(self, mailing_id: int) -> View:
        """Look at a mailing before its start

        The same of one that is stored and has not started: with its segments as they were when it was saved. 409 from
        its start on, of a retry, and of a draft that has no times yet.
        """
        return actions.check_stored(working(), parts(), mailing_id)
