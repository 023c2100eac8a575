"""A mailing as requests and answers have it."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api_service.mailings.retry_schema import retried_errors, retried_states
from api_service.mailings.rules import Times
from api_service.mailings.window_schema import WindowSchema
from api_service.web.fields import Flag, Label, Moment, Shaped, Text, Whole
from api_service.web.figures import TEST, FiguresSchema
from api_service.web.filters import FilterSchema
from api_service.web.page import MAX_ID, Count, PageSchema
from api_service.web.parts import parts
from api_service.web.reference import Reference
from api_service.web.schema import ThingSchema, described, enumerated, set_once, settable
from shared.domain.filter import Filter
from shared.domain.mailing import MailingState, PausedBecause
from shared.domain.priority import Priority
from shared.domain.profile.provider import LONGEST_SENDER
from shared.domain.text.shown import MOST_CHARACTERS, shows_something
from shared.domain.text.template import find_fault, is_template
from shared.domain.waiting import Waiting


class FixedSegmentSchema(Schema):
    """A segment as it was when the mailing was saved."""

    id = fields.Integer(required=True, metadata=described("Of the segment.", example=1))
    name = fields.String(required=True, metadata=described("The one that it had.", example="Regulars of Omsk"))
    revision = fields.Integer(required=True, metadata=described("The one that it had.", example=3))


_GIVEN_WHOLE = "Given whole."
_FROZEN = {"x-frozen": "at launch"}
"""In the metadata of a field: it may not change from the launch on."""


def _frozen(description: str, **more: object) -> dict[str, object]:
    return described(f"{description} Frozen at the launch.", **_FROZEN, **more)


def _shows_something(text: str) -> None:
    if not shows_something(text):
        raise ValidationError("Shows nothing: there are only blanks and invisible marks.")


def _is_sound(text: str) -> None:
    if is_template(text) and (fault := find_fault(text)):
        raise ValidationError(fault)


def _may_be_sent(sender: str) -> None:
    providers = parts().providers
    if not any(provider.may_send(sender) for provider in providers):
        senders = sorted({name for provider in providers for name in provider.senders})
        which = f": there are {', '.join(senders)}" if senders else ""
        raise ValidationError(f"Is no sender that a provider may be given{which}.")


class CauseSchema(Schema):
    """A reason for which messages wait."""

    cause = fields.Enum(
        Waiting,
        by_value=fields.String,
        required=True,
        metadata=enumerated(
            "WaitingCause", " · ".join(f"`{cause}`: {cause.meaning}" for cause in Waiting), example="start"
        ),
    )
    count = fields.Integer(
        required=True,
        allow_none=True,
        metadata=described("So many messages; null where they are not there yet.", example=None),
    )
    until = Moment(
        required=True,
        allow_none=True,
        metadata=described(
            "Until then; of `retry`, when the last of all that wait is due. Null where no time decides.",
            example="2050-01-31T06:00:00+00:00",
        ),
    )


MAX_NAME = 100


class MailingSchema(ThingSchema):
    """The list of its fields: what users can set, and what is frozen when, is asked here."""

    id = fields.Integer(dump_only=True, metadata=described("Given by the service.", example=1))
    name = Label(
        load_default=lambda: "",
        validate=validate.Length(0, MAX_NAME),
        metadata=described(
            f"What people call it, at most {MAX_NAME} characters; several may have one name.", example="Spring sale"
        ),
    )
    text = Text(
        required=True,
        validate=validate.And(validate.Length(1, MOST_CHARACTERS), _shows_something, _is_sound),
        metadata=_frozen(
            "What is sent, 1 to 2000 characters; there must be something to see in it. With `{{` or `{%` it is Liquid,"
            ' made for each client of their attributes: `{{ name }}`, `{{ name | default: "friend" }}`,'
            " `{% if vip %}…{% endif %}`. Whose text lacks a value gets no message.",
            example="The doors open at noon.",
        ),
    )
    sender = Text(
        allow_none=True,
        load_default=lambda: None,
        validate=[validate.Length(1, LONGEST_SENDER), _may_be_sent],
        metadata=_frozen(
            "Whom it comes from, as phones show it: one of the senders of the providers; null: the first one of the"
            " provider that it goes through, or none where that has none.",
            example=None,
        ),
    )
    draft = Flag(
        load_default=lambda: False,
        metadata=set_once(
            "Whether it is one: nothing happens until it is started. Times may be left out in a draft, or have passed;"
            " they are checked when it is started.",
            example=False,
        ),
    )
    starts_at = Moment(
        allow_none=True,
        load_default=lambda: None,
        metadata=_frozen(
            "When it is launched; at once where that has passed. With an offset from UTC. Only a draft may be without.",
            example="2050-01-31T09:00:00+03:00",
        ),
    )
    ends_at = Moment(
        allow_none=True,
        load_default=lambda: None,
        metadata=described(
            "Nothing is sent from this moment on. Later than `starts_at` and in the future. Only a draft may be"
            " without.",
            example="2050-01-31T21:00:00+03:00",
        ),
    )
    filter = Whole(
        FilterSchema,
        load_default=Filter,
        metadata=_frozen(
            f"Whom it is for; everybody where it is left out. {_GIVEN_WHOLE} It is saved with its segments as they are"
            " then: what is changed in one afterwards is taken up where the filter is given again, and not by itself."
        ),
    )
    fixed_segments = fields.List(
        fields.Nested(FixedSegmentSchema),
        dump_only=True,
        metadata=described(
            "The segments that the filter is made of, those that segments name included, with the `revision` that each"
            " had when it was saved.",
            example=[],
        ),
    )
    send_window = Whole(
        WindowSchema,
        allow_none=True,
        load_default=lambda: None,
        metadata=described(f"Hours of the client's day in which it may reach them; null: at any hour. {_GIVEN_WHOLE}"),
    )
    retry_of = fields.Integer(
        dump_only=True,
        allow_none=True,
        metadata=described("The mailing that it is a retry of; null: it is none.", example=None),
    )
    retry_states = retried_states(
        dump_only=True,
        metadata=described("Of a retry: those of that mailing whose messages ended so; it asks no filter.", example=[]),
    )
    retry_errors = retried_errors(
        dump_only=True, metadata=described("Of a retry: only with one of these, if there are any.", example=[])
    )
    provider = Shaped(
        "[a-z][a-z0-9_-]{0,31}",
        "Must be the name of a provider.",
        allow_none=True,
        load_default=lambda: None,
        metadata=_frozen(
            "The only provider that its messages go through, by its name in `GET /providers/`; null: any. While it is"
            " down or paused they wait.",
            example=None,
        ),
    )
    reference = Reference()
    revision = fields.Integer(
        dump_only=True,
        metadata=described("Counts the changes of what users can set; `ETag` is made of it.", example=1),
    )
    priority = fields.Enum(
        Priority,
        by_value=fields.String,
        load_default=lambda: Priority.NORMAL,  # a default in the document makes it required for some generators
        metadata=enumerated(
            "Priority",
            "Its class. `urgent` goes before `normal`, and `normal` before `bulk`; within a class the nearest end goes"
            " first. None is left without a tenth of the pace. May change after the launch.",
            example="normal",
        ),
    )
    test = fields.Boolean(dump_only=True, metadata=TEST)
    state = fields.Enum(
        MailingState,
        by_value=fields.String,
        dump_only=True,
        metadata=enumerated("MailingState", "Follows from the times and actions.", example="scheduled"),
    )
    paused_because = fields.Enum(
        PausedBecause,
        by_value=fields.String,
        dump_only=True,
        allow_none=True,
        metadata=enumerated(
            "PausedBecause",
            "While it is paused: `person`, somebody did it; `halted`, the service did, since the provider refused the"
            " first 50 messages and accepted none. Resumed, it is not halted again.",
            example=None,
        ),
    )
    provider_words = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=described("What the provider said when the mailing was halted, at most 300 bytes.", example=None),
    )
    waiting_because = fields.List(
        fields.Nested(CauseSchema),
        dump_only=True,
        metadata=described(
            "What its messages wait for, from counters; empty when it is over, or nothing waits.",
            example=[{"cause": "start", "count": None, "until": "2050-01-31T06:00:00+00:00"}],
        ),
    )
    finishes_at = Moment(
        dump_only=True,
        allow_none=True,
        metadata=described(
            "When all of it will be done if the pace stays as it is. Null: nobody can say, since it does not run or"
            " nothing goes out.",
            example=None,
        ),
    )
    finishes_in_time = fields.Boolean(
        dump_only=True,
        allow_none=True,
        metadata=described("Whether that is before its end; null with `finishes_at`.", example=None),
    )
    created_at = Moment(
        dump_only=True, metadata=described("When it was stored.", example="2050-01-30T14:21:07.123456+00:00")
    )
    statistics = fields.Nested(FiguresSchema, dump_only=True, metadata=described("Where its messages stand."))

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _times_unless_draft(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        """Where `draft` can be set. What is missing is told together with all else that is wrong."""
        if not isinstance(self.fields.get("draft"), Flag) or "draft" not in data:
            return
        missing = Times(data.get("starts_at"), data.get("ends_at"), data["draft"]).missing()
        if errors := {name: words for name, words in missing.items() if original.get(name) is None}:
            raise ValidationError(errors)

    @validates_schema
    def _sender_of_provider(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("provider") is None:
            return
        provider = parts().providers.get(data["provider"])
        if provider is not None and not provider.may_send(data.get("sender")):
            raise ValidationError("Is no sender that this provider may be given.", "sender")


class MailingsQuerySchema(PageSchema):
    state = fields.Enum(
        MailingState,
        by_value=fields.String,
        metadata=enumerated("MailingState", "Only mailings in this state."),
    )
    reference = Text(validate=validate.Length(1, 64), metadata=described("Only the mailing that you call so."))
    retry_of = Count(validate=validate.Range(1, MAX_ID), metadata=described("Only retries of the mailing of this id."))
    name = Text(
        validate=validate.Length(1, MAX_NAME),
        metadata=described("Only mailings whose name begins so; capital letters and small ones are the same."),
    )


SETTABLE = settable(MailingSchema)
_OF_OUTLOOK = {"waiting_because", "finishes_at", "finishes_in_time"}
STORED = MailingSchema._declared_fields.keys() - {"state", "paused_because", "statistics"} - _OF_OUTLOOK
FROZEN_AT_LAUNCH = frozenset(
    name for name, field in MailingSchema._declared_fields.items() if field.metadata.items() >= _FROZEN.items()
)
