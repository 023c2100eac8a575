"""/mailings/"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask.views import MethodView

from api_service.mailings import actions
from api_service.mailings.actions import View
from api_service.mailings.retry_schema import RetrySchema
from api_service.mailings.schema import MailingSchema, MailingsQuerySchema
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.key import Scope
from api_service.web.middleware import about
from api_service.web.page import chosen
from api_service.web.parts import parts, working
from api_service.web.problems import Frozen, Gone, NotFound, Taken
from api_service.web.schema import answer, changes, given_example, new, replacement, sent_example
from shared.domain.message import MessageState

blueprint = Blueprint("Mailings", "What is to be sent, to whom, from when until when.", "/mailings")

SENT = sent_example(MailingSchema)
ANSWER, ANSWER_LIST = answer(MailingSchema), answer(MailingSchema, many=True)
GIVEN = given_example(MailingSchema, statistics={"audience": 0} | {str(state): 0 for state in MessageState})
ID = path_id("mailing_id", "The id of the mailing.")


@blueprint.route("/")
class Mailings(MethodView):
    @blueprint.operation("listMailings", query=MailingsQuerySchema, answer=ANSWER_LIST, gives=[GIVEN])
    def get(self, query: dict[str, Any]) -> tuple[Sequence[View], dict[str, str]]:
        """List mailings

        Of all that are not deleted, in the order of ids, each with its statistics.
        """
        listing = actions.list_part(working(), query["part"], chosen(query))
        return listing.rows, listing.headers()

    @blueprint.operation(
        "createMailing",
        scope=Scope.TEST,
        body=new(MailingSchema),
        sends=SENT,
        status=201,
        answer=ANSWER,
        gives=GIVEN,
        fails=[Taken],
        is_tagged=True,
        is_idempotent=True,
    )
    def post(self, values: Mapping[str, Any]) -> View:
        """Create a mailing

        It launches by itself at `starts_at`, or at once if that has passed: every client that matches the filter then
        gets one message. Whoever joins the directory later gets none. With `draft` nothing happens until it is started.
        With a key of the scope `test` it is a test: it goes through the built-in provider, which does what the last
        four digits of a phone say and sends nothing.
        """
        mailing = actions.create(working(), parts().announcer, values)
        about(mailing_id=mailing["id"])
        return mailing


@blueprint.route("/<id:mailing_id>/clone/", parameters=[ID])
class Clone(MethodView):
    @blueprint.operation(
        "cloneMailing",
        scope=Scope.TEST,
        status=201,
        answer=ANSWER,
        gives=GIVEN | {"id": 2, "draft": True, "state": "draft", "starts_at": None, "ends_at": None, "reference": None},
        fails=[NotFound, Gone],
        is_tagged=True,
        is_idempotent=True,
    )
    def post(self, mailing_id: int) -> View:
        """Clone a mailing

        A draft with its name, text, filter, window and priority, whatever became of it. Times are to be given, and so
        is a `reference`. Its filter is saved anew, with its segments as they are now; 409 if it names what is not there
        any more. A body is not needed.
        """
        mailing = actions.clone(working(), mailing_id)
        about(mailing_id=mailing["id"])
        return mailing


@blueprint.route("/<id:mailing_id>/retry/", parameters=[ID])
class Retry(MethodView):
    @blueprint.operation(
        "retryMailing",
        scope=Scope.TEST,
        body=RetrySchema,
        sends=sent_example(RetrySchema),
        status=201,
        answer=ANSWER,
        gives=GIVEN
        | {
            "id": 2,
            "retry_of": 1,
            "retry_states": ["failed", "expired"],
            "retry_errors": ["provider_down"],
            "starts_at": "2050-02-01T06:00:00+00:00",
            "ends_at": "2050-02-01T18:00:00+00:00",
            "reference": None,
        },
        fails=[NotFound, Gone],
        is_tagged=True,
        is_idempotent=True,
    )
    def post(self, asked: Mapping[str, Any], mailing_id: int) -> View:
        """Retry the failed of a mailing

        A new mailing with the name, text and priority of this one, to exactly those of it whose messages ended so by
        the moment of its launch; this one may still be running. Left out is who has a message in another retry that is
        open, sent or unknown, of this mailing or of those that it goes back to: nobody gets it twice because two people
        have asked. A retry can be retried. 409 where the messages are not kept any more; 422 where none has ended so.
        """
        mailing = actions.retry(working(), parts().announcer, mailing_id, asked)
        about(mailing_id=mailing["id"])
        return mailing


@blueprint.route("/<id:mailing_id>/", parameters=[ID])
class OneMailing(MethodView):
    @blueprint.operation("getMailing", answer=ANSWER, gives=GIVEN, fails=[NotFound], is_tagged=True)
    def get(self, mailing_id: int) -> View:
        """Look up a mailing

        With its state and statistics at this moment.
        """
        return actions.find(working(), mailing_id)

    @blueprint.operation(
        "replaceMailing",
        scope=Scope.TEST,
        body=replacement(MailingSchema),
        sends=SENT,
        answer=ANSWER,
        gives=GIVEN,
        fails=[NotFound, Frozen, Taken],
        is_tagged=True,
        is_conditional=True,
    )
    def put(self, values: Mapping[str, Any], mailing_id: int) -> View:
        """Replace a mailing

        Everything is set: a field that is left out gets its default, as at the creation. It takes what GET gave.
        Fields that are frozen at the launch may not change after it, and once it is finished or cancelled so is the
        rest: 409 names the fields that would have to change. The same value as before is always accepted.
        """
        return actions.change(working(), parts().announcer, mailing_id, values)

    @blueprint.operation(
        "changeMailing",
        scope=Scope.TEST,
        body=changes(MailingSchema),
        sends={"ends_at": "2050-01-31T23:00:00+03:00", "send_window": None},
        answer=ANSWER,
        gives=GIVEN | {"ends_at": "2050-01-31T20:00:00+00:00", "send_window": None, "revision": 2},
        fails=[NotFound, Frozen, Taken],
        is_tagged=True,
        is_conditional=True,
    )
    def patch(self, values: Mapping[str, Any], mailing_id: int) -> View:
        """Change a mailing

        Only the fields that are given; `filter` and `send_window` are replaced whole. Fields that are frozen at the
        launch may not change after it, and once the mailing is finished or cancelled so is the rest: 409 names the
        fields that would have to change. The same value as before is always accepted.
        """
        return actions.change(working(), parts().announcer, mailing_id, values)

    @blueprint.operation("deleteMailing", scope=Scope.TEST, status=204, fails=[NotFound], is_conditional=True)
    def delete(self, mailing_id: int) -> None:
        """Delete a mailing

        It disappears from lists and totals. If it is not over it is cancelled as well: its messages that are not sent
        yet are cancelled within moments.
        """
        actions.delete(working(), mailing_id)
