"""The form of a segment: what stands in its fields, and the values that they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from api_service.console import filter_form
from api_service.console.filter_form import EXCLUDED, Lists
from api_service.directory.segment_schema import SegmentSchema
from api_service.web.problems import Invalid
from api_service.web.schema import new
from shared.database.models import Segment
from shared.domain.filter import Filter

_SCHEMA = new(SegmentSchema)
PLACES = ("name", "filter", *filter_form.PLACES)
"""Where something may be wrong."""


@dataclass(frozen=True, slots=True)
class Fields:
    name: str = ""
    chosen: Lists = field(default_factory=Lists)
    excluded: Lists = field(default_factory=Lists)

    @staticmethod
    def sent(form: "MultiDict[str, str]") -> "Fields":
        return Fields(form.get("name", "").strip(), Lists.sent(form), Lists.sent(form, EXCLUDED))

    @staticmethod
    def of(segment: Segment) -> "Fields":
        return Fields(segment.name, Lists.of(segment.filter), Lists.of(segment.filter.exclude))

    def values(self, known: Filter) -> dict[str, Any]:
        """All that users can set. known: the filter that was there before. Raises Invalid."""
        wanted = filter_form.body(self.chosen, self.excluded, known)
        try:
            loaded: dict[str, Any] = _SCHEMA.load({"name": self.name, "filter": wanted})
        except ValidationError as error:
            raise Invalid(error.messages_dict) from error
        return loaded


def by_field(errors: Mapping[str, Any]) -> dict[str, list[str]]:
    """errors: as the API says them of a segment."""
    return filter_form.by_field(errors, PLACES, "filter")
