"""The form of a mailing: what stands in its fields, and the body of the API that it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from zoneinfo import ZoneInfo

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from api_service.console import filter_form, local_time
from api_service.console.filter_form import EXCLUDED, Lists
from api_service.mailings.schema import MailingSchema
from api_service.web.filters import FilterSchema
from api_service.web.schema import changes, new
from shared.domain.filter import Filter
from shared.domain.priority import Priority

_NEW, _CHANGES, _FILTER = new(MailingSchema), changes(MailingSchema), FilterSchema()


class Refused(Exception):
    """errors: sentences by field of the form."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Fields:
    """As they stand on the page. Times are those of the reader's clock."""

    name: str = ""
    text: str = ""
    chosen: Lists = field(default_factory=Lists)
    excluded: Lists = field(default_factory=Lists)
    starts_at: str = ""
    ends_at: str = ""
    window_from: str = ""
    window_until: str = ""
    priority: str = str(Priority.NORMAL)

    @staticmethod
    def sent(form: "MultiDict[str, str]") -> "Fields":
        return Fields(
            text=_lines(form.get("text", "")),
            chosen=Lists.sent(form),
            excluded=Lists.sent(form, EXCLUDED),
            **{name: form.get(name, "").strip() for name in _OF_A_LINE},
        )

    @staticmethod
    def of(view: Mapping[str, Any], zone: ZoneInfo) -> "Fields":
        """view: of a mailing, as its action gives it."""
        window = view["send_window"]
        return Fields(
            name=view["name"],
            text=_lines(view["text"]),
            chosen=Lists.of(view["filter"]),
            excluded=Lists.of(view["filter"].exclude),
            starts_at=local_time.shown(view["starts_at"], zone),
            ends_at=local_time.shown(view["ends_at"], zone),
            window_from=f"{window.start:%H:%M}" if window else "",
            window_until=f"{window.end:%H:%M}" if window else "",
            priority=str(view["priority"]),
        )

    def filter(self, known: Filter) -> dict[str, Any]:
        """As the API takes it. known: that was there before."""
        return filter_form.body(self.chosen, self.excluded, known)

    def body(self, zone: ZoneInfo, known: Filter) -> dict[str, Any]:
        """The same of all of it. Raises Refused."""
        window = {"from": self.window_from, "until": self.window_until}
        return {
            "name": self.name,
            "text": self.text,
            "starts_at": _moment("starts_at", self.starts_at, zone),
            "ends_at": _moment("ends_at", self.ends_at, zone),
            "filter": self.filter(known),
            "send_window": window if any(window.values()) else None,
            "priority": self.priority or str(Priority.NORMAL),
        }


_OF_A_LINE = ("name", "starts_at", "ends_at", "window_from", "window_until", "priority")
PLACES = ("text", *_OF_A_LINE, *filter_form.PLACES)
"""Where something may be wrong."""


def created(form: Fields, zone: ZoneInfo) -> dict[str, Any]:
    """The values of a new mailing, which is a draft. Raises Refused."""
    return _loaded(_NEW, form.body(zone, Filter()) | {"draft": True})


def changed(form: Fields, zone: ZoneInfo, view: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be set in one that is there. What stands as it was shown is not set again: a page shows less than
    there is, as of a moment its minute. Raises Refused."""
    shown = Fields.of(view, zone).body(zone, view["filter"])
    given = form.body(zone, view["filter"])
    return _loaded(_CHANGES, {name: value for name, value in given.items() if value != shown[name]})


def chosen(form: Fields, known: Filter) -> Filter:
    """Whom it is for. known: that was there before. Raises Refused."""
    try:
        return cast(Filter, _FILTER.load(form.filter(known)))
    except ValidationError as error:
        raise Refused(by_field({"filter": error.messages_dict})) from error


def by_field(errors: Mapping[str, Any]) -> dict[str, list[str]]:
    """As `filter_form.by_field`: of a window where it begins, of what has no field of its own beside the text."""
    own = {{"send_window": "window_from"}.get(name, name): said for name, said in errors.items()}
    return filter_form.by_field(own, PLACES, "text")


def _loaded(schema: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise Refused(by_field(error.messages_dict)) from error
    return loaded


def _lines(text: str) -> str:
    """As browsers hold them; they send each with two characters at its end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _moment(name: str, text: str, zone: ZoneInfo) -> str | None:
    """Of the reader's clock. Raises Refused."""
    if not text:
        return None
    try:
        return local_time.given(text, zone)
    except ValueError:
        raise Refused({name: [local_time.SHAPE]}) from None
