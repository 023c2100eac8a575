"""The form of a mailing: what stands in its fields, and the body of the API that it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from api_service.mailings.schema import MailingSchema
from api_service.web.schema import changes, new
from shared.domain.priority import Priority

_NEW, _CHANGES = new(MailingSchema), changes(MailingSchema)
_MINUTE = "%Y-%m-%dT%H:%M"
_LISTS = ("tags", "operator_codes", "timezones")


class Refused(Exception):
    """errors: sentences by field of the form."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Fields:
    """As they stand on the page. segments: ids. Times are those of the reader's clock."""

    name: str = ""
    text: str = ""
    tags: str = ""
    operator_codes: str = ""
    timezones: str = ""
    segments: Sequence[int] = ()
    starts_at: str = ""
    ends_at: str = ""
    window_from: str = ""
    window_until: str = ""
    priority: str = str(Priority.NORMAL)

    @staticmethod
    def sent(form: "MultiDict[str, str]") -> "Fields":
        segments = [int(one) for one in form.getlist("segments") if one.isascii() and one.isdigit()]
        given = {name: form.get(name, "").strip() for name in Fields.__slots__ if name != "segments"}
        return Fields(**given, segments=segments)

    @staticmethod
    def of(view: Mapping[str, Any], zone: ZoneInfo) -> "Fields":
        """view: of a mailing, as its action gives it."""
        window, wanted = view["send_window"], view["filter"]
        return Fields(
            name=view["name"],
            text=view["text"],
            **{name: ", ".join(getattr(wanted, name)) for name in _LISTS},
            segments=list(wanted.segments),
            starts_at=_shown(view["starts_at"], zone),
            ends_at=_shown(view["ends_at"], zone),
            window_from=f"{window.start:%H:%M}" if window else "",
            window_until=f"{window.end:%H:%M}" if window else "",
            priority=str(view["priority"]),
        )

    def body(self, zone: ZoneInfo) -> dict[str, Any]:
        """As the API takes it. Raises Refused."""
        window = {"from": self.window_from, "until": self.window_until}
        return {
            "name": self.name,
            "text": self.text.replace("\r\n", "\n"),
            "starts_at": _moment("starts_at", self.starts_at, zone),
            "ends_at": _moment("ends_at", self.ends_at, zone),
            "filter": {**{name: _several(getattr(self, name)) for name in _LISTS}, "segments": list(self.segments)},
            "send_window": window if any(window.values()) else None,
            "priority": self.priority or str(Priority.NORMAL),
        }


def created(fields: Fields, zone: ZoneInfo) -> dict[str, Any]:
    """The values of a new mailing, which is a draft. Raises Refused."""
    return _loaded(_NEW, fields.body(zone) | {"draft": True})


def changed(fields: Fields, zone: ZoneInfo) -> dict[str, Any]:
    """What is to be set in one that is there. Raises Refused."""
    return _loaded(_CHANGES, fields.body(zone))


def by_field(errors: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong, as the schema says it: of a member of the filter under its own name, of a list as a whole."""
    found: dict[str, list[str]] = {}
    for name, said in errors.items():
        if name == "filter" and isinstance(said, Mapping):
            found |= by_field(said)
        else:
            own = {"send_window": "window_from"}.get(name, name)
            found.setdefault(own if own in Fields.__slots__ else "text", []).extend(_sentences(said))
    return found


def _loaded(schema: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise Refused(by_field(error.messages_dict)) from error
    return loaded


def _sentences(said: Any) -> list[str]:
    if isinstance(said, Mapping):
        return [sentence for one in said.values() for sentence in _sentences(one)]
    return list(said) if isinstance(said, list) else [str(said)]


def _several(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]


def _moment(name: str, text: str, zone: ZoneInfo) -> str | None:
    """Of the reader's clock. Raises Refused."""
    if not text:
        return None
    try:
        return datetime.strptime(text[:16], _MINUTE).replace(tzinfo=zone).isoformat()
    except ValueError:
        raise Refused({name: ["Must be a day and a time such as 2050-01-31T09:00."]}) from None


def _shown(moment: datetime | None, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime(_MINUTE) if moment else ""
