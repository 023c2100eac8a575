"""/segments/"""

from collections.abc import Mapping
from typing import Any

from flask.views import MethodView

from api_service.directory import segment_actions as actions
from api_service.directory.segment_schema import CountedSegmentSchema, SegmentSchema, SegmentsQuerySchema
from api_service.web.blueprint import Blueprint, path_id
from api_service.web.page import chosen
from api_service.web.parts import working
from api_service.web.problems import InUse, NotFound
from api_service.web.schema import answer, changes, given_example, new, replacement, sent_example
from shared.database.models import Segment

blueprint = Blueprint("Segments", "Saved filters, by which mailings choose their clients.", "/segments")

_SENT = sent_example(SegmentSchema)
_COUNTED, _ANSWER, _ANSWER_LIST = (
    answer(CountedSegmentSchema), answer(SegmentSchema), answer(SegmentSchema, many=True),
)  # fmt: skip
_GIVEN = given_example(SegmentSchema)


@blueprint.route("/")
class Segments(MethodView):
    @blueprint.operation("listSegments", query=SegmentsQuerySchema, answer=_ANSWER_LIST, gives=[_GIVEN])
    def get(self, query: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        """List segments

        In the order of ids, without counting their clients.
        """
        listing = actions.list_part(working(), query["part"], chosen(query))
        return listing.rows, listing.headers()

    @blueprint.operation(
        "createSegment",
        body=new(SegmentSchema),
        sends=_SENT,
        status=201,
        answer=_ANSWER,
        gives=_GIVEN,
        is_tagged=True,
        is_idempotent=True,
    )
    def post(self, values: Mapping[str, Any]) -> Segment:
        """Save a filter as a segment

        Filters of mailings, and of other segments, may name it from then on.
        """
        return actions.create(working(), values)


@blueprint.route("/<id:segment_id>/", parameters=[path_id("segment_id", "The id of the segment.")])
class OneSegment(MethodView):
    @blueprint.operation(
        "getSegment", answer=_COUNTED, gives=given_example(CountedSegmentSchema), fails=[NotFound], is_tagged=True
    )
    def get(self, segment_id: int) -> dict[str, Any]:
        """Look up a segment

        With the number of clients who are in it now, if they can be counted within 5 seconds.
        """
        return actions.find(working(), segment_id)

    @blueprint.operation(
        "replaceSegment",
        body=replacement(CountedSegmentSchema),
        sends=_SENT,
        answer=_ANSWER,
        gives=_GIVEN,
        fails=[NotFound],
        is_tagged=True,
        is_conditional=True,
    )
    def put(self, values: Mapping[str, Any], segment_id: int) -> Segment:
        """Replace a segment

        Everything is set. It takes what GET gave. Mailings that name it stay what they were when they were saved; one
        that has not started takes it up as it is now where its filter is given again. Segments that would name each
        other in a circle are 422.
        """
        return actions.change(working(), segment_id, values)

    @blueprint.operation(
        "changeSegment",
        body=changes(SegmentSchema),
        sends={"name": "Regulars of Siberia"},
        answer=_ANSWER,
        gives=_GIVEN | {"name": "Regulars of Siberia", "revision": 2},
        fails=[NotFound],
        is_tagged=True,
        is_conditional=True,
    )
    def patch(self, values: Mapping[str, Any], segment_id: int) -> Segment:
        """Change a segment

        Only the fields that are given; `filter` is replaced whole. What becomes of mailings is said at PUT.
        """
        return actions.change(working(), segment_id, values)

    @blueprint.operation("deleteSegment", status=204, fails=[NotFound, InUse], is_conditional=True)
    def delete(self, segment_id: int) -> None:
        """Delete a segment

        409 while another segment, or a mailing that has not started, names it.
        """
        actions.delete(working(), segment_id)
